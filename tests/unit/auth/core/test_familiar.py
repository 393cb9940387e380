"""Who has logged in from where."""

from qvdnode.auth.core.familiar import FAMILIAR_S, TABLE_MAX, Familiar
from tests.unit.auth.core.askers import HERE, asker


def test_whoever_logged_in_is_known_there_for_a_week() -> None:
    familiar = Familiar()
    familiar.note(asker(), 0)
    assert familiar.knows(asker(), FAMILIAR_S)
    assert not familiar.knows(asker(), FAMILIAR_S + 1)
    assert not familiar.knows(asker(source="192.0.2.2"), 0)
    assert not familiar.knows(asker("bob"), 0)


def test_accounts_are_counted_once_each_and_no_longer_than_they_are_known() -> None:
    familiar = Familiar()
    familiar.note(asker(), 0)
    familiar.note(asker(), 1)
    familiar.note(asker("bob"), 2)
    assert familiar.count(HERE) == 2
    familiar.note(asker("carol", "192.0.2.2"), FAMILIAR_S + 2)
    assert familiar.count(HERE) == 1
    familiar.note(asker("carol", "192.0.2.2"), FAMILIAR_S + 3)
    assert familiar.count(HERE) == 0


def test_another_64_of_the_same_48_is_not_known_but_counts_in_it() -> None:
    familiar = Familiar()
    familiar.note(asker(source="2001:db8::1"), 0)
    assert familiar.knows(asker(source="2001:db8::2"), 0)
    assert not familiar.knows(asker(source="2001:db8:0:1::1"), 0)
    assert familiar.count("2001:db8::/48") == 1


def test_the_table_is_bounded() -> None:
    familiar = Familiar()
    for number in range(TABLE_MAX + 5):
        familiar.note(asker(str(number)), 0)
    assert familiar.count(HERE) == TABLE_MAX == len(familiar._table)
