"""Who has logged in from where."""

from qvdnode.auth.core.familiar import FAMILIAR_S, TABLE_MAX, Familiar
from tests.unit.auth.core.login_sources import HERE, login_source


def test_whoever_logged_in_is_known_there_for_a_week() -> None:
    familiar = Familiar()
    familiar.note(login_source(), 0)
    assert familiar.knows(login_source(), FAMILIAR_S)
    assert not familiar.knows(login_source(), FAMILIAR_S + 1)
    assert not familiar.knows(login_source(source="192.0.2.2"), 0)
    assert not familiar.knows(login_source("bob"), 0)


def test_accounts_are_counted_once_each_and_no_longer_than_they_are_known() -> None:
    familiar = Familiar()
    familiar.note(login_source(), 0)
    familiar.note(login_source(), 1)
    familiar.note(login_source("bob"), 2)
    assert familiar.count(HERE) == 2
    familiar.note(login_source("carol", "192.0.2.2"), FAMILIAR_S + 2)
    assert familiar.count(HERE) == 1
    familiar.note(login_source("carol", "192.0.2.2"), FAMILIAR_S + 3)
    assert familiar.count(HERE) == 0


def test_another_64_of_the_same_48_is_not_known_but_counts_in_it() -> None:
    familiar = Familiar()
    familiar.note(login_source(source="2001:db8::1"), 0)
    assert familiar.knows(login_source(source="2001:db8::2"), 0)
    assert not familiar.knows(login_source(source="2001:db8:0:1::1"), 0)
    assert familiar.count("2001:db8::/48") == 1


def test_the_table_is_bounded() -> None:
    familiar = Familiar()
    for number in range(TABLE_MAX + 5):
        familiar.note(login_source(str(number)), 0)
    assert familiar.count(HERE) == TABLE_MAX == len(familiar._table)


def test_what_others_have_seen_counts_from_when_they_saw_it() -> None:
    familiar = Familiar()
    familiar.note(login_source("bob"), 0)
    past = [
        (login_source("carol"), -10.0),
        (login_source(), -20.0),
        (login_source("dave"), -FAMILIAR_S - 1),
    ]
    familiar.learn(past, 0)
    assert familiar.count(HERE) == 3  # dave's is too long ago
    assert familiar.knows(login_source(), FAMILIAR_S - 20)
    assert not familiar.knows(login_source(), FAMILIAR_S - 19)
    familiar.note(login_source("eve", "192.0.2.2"), FAMILIAR_S - 15)
    assert familiar.count(HERE) == 2
    familiar.note(login_source("eve", "192.0.2.2"), FAMILIAR_S - 5)
    assert familiar.count(HERE) == 1


def test_what_others_have_seen_makes_nobody_older() -> None:
    familiar = Familiar()
    familiar.note(login_source(), 0)
    familiar.learn([(login_source(), -100.0)], 0)
    assert familiar.knows(login_source(), FAMILIAR_S)
    assert familiar.count(HERE) == 1


def test_nothing_is_left_of_what_was_seen_too_long_ago() -> None:
    familiar = Familiar()
    familiar.learn([(login_source(), -FAMILIAR_S - 1)], 0)
    assert familiar.count(HERE) == 0 == len(familiar._table)
