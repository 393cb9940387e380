"""Sources that fail with many accounts, and honest ones that only look so."""

import random
from collections.abc import Iterable

import pytest

from qvdnode.auth.core.familiar import Familiar
from qvdnode.auth.core.login_source import LoginSource
from qvdnode.auth.core.spraying import (
    CHECK_S,
    FAMILIAR_PER_FAILURE,
    KEPT_S,
    PAUSE_MAX_S,
    RECORDS_MAX,
    Slowed,
    Spraying,
    Verdict,
)
from tests.unit.auth.core.login_sources import login_source

FREE = 20
DAY_S = 86_400.0


def make() -> Spraying:
    return Spraying(Familiar(), free_accounts=FREE, delay_max_s=60)


def judge(spraying: Spraying, who: LoginSource, now_s: float, *, right: bool) -> Verdict | Slowed:
    """One attempt, answered at once unless it must wait; it wins every draw."""
    classified = spraying.classify(who, now_s)
    verdict = spraying.verdict(classified, now_s)
    if verdict is Verdict.GO or (isinstance(verdict, Slowed) and verdict.wait_s == 0):
        spraying.begin(classified)
        if right:
            spraying.succeeded(classified, now_s)
        else:
            spraying.failed(classified, now_s)
    return verdict


def spray(spraying: Spraying, accounts: Iterable[str], sources: Iterable[str]) -> float:
    """Try one password on each account as soon as it is allowed; how long that takes."""
    now_s, from_where = 0.0, list(sources)
    for number, account in enumerate(accounts):
        who = login_source(account, from_where[number % len(from_where)])
        while True:
            verdict = judge(spraying, who, now_s, right=False)
            if not isinstance(verdict, Slowed) or verdict.wait_s == 0:
                break
            now_s += verdict.wait_s + 0.001  # floats
    return now_s


def test_one_password_on_a_thousand_accounts_takes_hours() -> None:
    accounts = [f"user{number}" for number in range(1_000)]
    assert spray(make(), accounts[:FREE], ["192.0.2.1"]) == 0
    assert spray(make(), accounts[:60], ["192.0.2.1"]) > 36 * PAUSE_MAX_S
    assert spray(make(), accounts, ["192.0.2.1"]) > 2.5 * 3_600


def test_many_addresses_of_one_network_are_little_faster() -> None:
    accounts = [f"user{number}" for number in range(1_000)]
    of_one_64 = [f"2001:db8::{number:x}" for number in range(1_000)]
    assert spray(make(), accounts, of_one_64) > 2.5 * 3_600
    of_one_48 = [f"2001:db8:0:{number:x}::1" for number in range(1_000)]
    assert spray(make(), accounts, of_one_48) > 1.5 * 3_600


def test_a_spray_that_stays_below_the_limit_takes_days() -> None:
    spraying = make()
    for hour in range(3):
        now_s = hour * (KEPT_S + 1)
        for number in range(FREE):
            who = login_source(f"user {hour} {number}")
            assert judge(spraying, who, now_s, right=False) is Verdict.GO
        assert judge(spraying, login_source("one more"), now_s, right=False) == Slowed(1.0)


@pytest.mark.parametrize("seed", range(5))
def test_300_people_behind_one_address_are_in_at_once_though_30_mistype(seed: int) -> None:
    rng, spraying = random.Random(seed), make()
    events = []
    for number in range(300):
        at_s, mistypes = rng.uniform(0, 60), number < 30
        if mistypes:
            events.append((at_s, number, False))
            at_s += rng.uniform(3, 15)
        events.append((at_s, number, True))
    for at_s, number, right in sorted(events):
        assert judge(spraying, login_source(str(number)), at_s, right=right) is Verdict.GO


def test_they_are_in_even_if_all_who_mistype_come_first_on_the_second_day() -> None:
    spraying = make()
    for number in range(300):
        judge(spraying, login_source(str(number)), 0, right=True)
    for right in (False, True):
        for number in range(30):
            assert judge(spraying, login_source(str(number)), DAY_S, right=right) is Verdict.GO


def test_a_stranger_who_sprays_from_behind_their_address_delays_only_strangers() -> None:
    spraying = make()
    judge(spraying, login_source("ana"), 0, right=True)
    spray(spraying, map(str, range(60)), ["192.0.2.1"])
    now_s = 40 * 60.0
    judge(spraying, login_source("one more"), now_s, right=False)
    assert judge(spraying, login_source("new"), now_s + 1, right=True) == Slowed(PAUSE_MAX_S - 1)
    assert judge(spraying, login_source("ana"), now_s + 1, right=True) is Verdict.GO
    assert judge(spraying, login_source("new", "192.0.2.2"), now_s + 1, right=True) is Verdict.GO


def test_an_own_account_does_not_help_a_spray() -> None:
    spraying = make()
    for number in range(FREE):
        judge(spraying, login_source(str(number)), 0, right=False)
        judge(spraying, login_source("own"), 0, right=True)
    assert judge(spraying, login_source("one more"), 0, right=False) == Slowed(1.0)


def test_whoever_corrects_a_typo_no_longer_counts() -> None:
    spraying = make()
    for number in range(3 * FREE):
        assert judge(spraying, login_source(str(number)), 0, right=False) is Verdict.GO
        assert judge(spraying, login_source(str(number)), 0, right=True) is Verdict.GO


def test_the_more_log_in_the_more_may_fail() -> None:
    spraying = make()
    for number in range(3 * FAMILIAR_PER_FAILURE):
        judge(spraying, login_source(f"friend{number}"), 0, right=True)
    tried = [
        judge(spraying, login_source(str(number)), 0, right=False) for number in range(FREE + 4)
    ]
    assert tried == [Verdict.GO] * (FREE + 3) + [Slowed(1.0)]


def test_attempts_at_once_count_before_they_are_answered() -> None:
    spraying = make()
    several = [spraying.classify(login_source(str(number)), 0) for number in range(FREE + 1)]
    for classified in several[:-1]:
        assert spraying.verdict(classified, 0) is Verdict.GO
        spraying.begin(classified)
    assert spraying.verdict(several[-1], 0) is Verdict.WAIT_FOR_OTHERS
    spraying.begin(several[0])  # the same account again is no further one
    assert spraying.verdict(several[0], 0) is Verdict.GO
    spraying.succeeded(several[0], 0)
    spraying.not_checked(several[0])
    assert spraying.verdict(several[-1], 0) is Verdict.GO
    spraying.begin(several[-1])
    for classified in several[1:]:
        spraying.failed(classified, 0)
    assert spraying.verdict(spraying.classify(login_source("one more"), 0), 0) == Slowed(1.0)


def test_a_slowed_source_is_checked_one_at_a_time() -> None:
    spraying = make()
    spray(spraying, map(str, range(FREE)), ["192.0.2.1"])
    first, second = (spraying.classify(login_source(name), 2.0) for name in ("first", "second"))
    assert spraying.verdict(first, 2.0) == Slowed(0.0)
    spraying.begin(first)
    assert spraying.verdict(second, 2.0) == Slowed(CHECK_S)
    spraying.succeeded(first, 2.0)
    assert spraying.verdict(second, 2.0) == Slowed(0.0)


def test_the_pause_of_a_source_does_not_grow_beyond_what_somebody_can_wait() -> None:
    spraying = make()
    spray(spraying, map(str, range(3 * FREE)), ["192.0.2.1"])
    now_s = 3_000.0
    judge(spraying, login_source("one more"), now_s, right=False)
    assert judge(spraying, login_source("new"), now_s, right=True) == Slowed(PAUSE_MAX_S)
    assert judge(spraying, login_source("new"), now_s + PAUSE_MAX_S, right=True) == Slowed(0.0)


def test_what_was_not_judged_counts_for_nothing_and_leaves_nothing() -> None:
    spraying = make()
    for number in range(3 * FREE):
        classified = spraying.classify(login_source(str(number)), 0)
        assert spraying.verdict(classified, 0) is Verdict.GO
        spraying.begin(classified)
        spraying.not_checked(classified)
    assert len(spraying) == 0


def test_the_table_is_bounded_and_keeps_what_is_being_checked() -> None:
    spraying = make()
    first = spraying.classify(login_source("first"), 0)
    spraying.begin(first)
    for number in range(RECORDS_MAX + 50):
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        judge(spraying, login_source("alice", address), 0, right=False)
    assert len(spraying) <= RECORDS_MAX + 1
    spraying.failed(first, 0)
