"""Who waits, for how long, and in which order."""

import asyncio
import contextlib
import itertools
import random

import pytest

from qvdnode.auth.core.login_source import LoginSource
from qvdnode.auth.core.spraying import CHECK_S, PAUSE_MAX_S
from qvdnode.auth.familiar_sources import FamiliarSources
from qvdnode.auth.settings import AuthSettings
from qvdnode.auth.throttle import (
    DRAW_S,
    HELD_IN_ALL_MAX,
    HELD_MAX,
    HOLD_S,
    MANY,
    WAITING_MAX,
    LoginThrottle,
    Outcome,
    require_no_wait,
)
from qvdnode.model.errors import Throttled, Unavailable
from qvdnode.model.familiar_login import FamiliarLogin
from qvdnode.model.ids import UserId
from tests.fakes.accounts import FakeFamiliarStore
from tests.fakes.clock import ManualClock

HERE, THERE = "192.0.2.1", "192.0.2.2"
SETTINGS = AuthSettings()
SECRET = b"s" * 32
ALICE = UserId(1)


class Gate:
    """A throttle, its clock, and logins that end when they are told."""

    def __init__(self, store: FakeFamiliarStore | None = None) -> None:
        self.clock = ManualClock()
        self.store = store or FakeFamiliarStore()
        self.familiar = FamiliarSources(self.store, self.clock, SECRET)
        rng = random.Random(1)
        self.throttle = LoginThrottle(self.clock, SETTINGS, SECRET, self.familiar, rng)
        self.inside: list[str] = []

    def login_source(self, account: str = "alice", source: str = HERE) -> LoginSource:
        return self.throttle.login_source(account, source)

    async def login(self, account: str, outcome: Outcome, source: str = HERE) -> None:
        async with self.throttle.turn(self.login_source(account, source)) as turn:
            self.inside.append(account)
            await asyncio.sleep(0)  # the database, the hash
            turn.outcome = outcome

    async def spray(self) -> None:
        for number in range(SETTINGS.source_free_accounts):
            await self.login(f"user{number}", Outcome.WRONG)

    async def pass_s(self, seconds: float, *, step_s: float = 0.001) -> None:
        """Let time pass in steps as small as the draws."""
        until_s = self.clock.monotonic_s() + seconds
        while self.clock.monotonic_s() < until_s:
            await settle()
            self.clock.advance(step_s)
        await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_people_are_told_whole_seconds_and_never_none() -> None:
    with pytest.raises(Throttled, match=r"in 1 s\.") as caught:
        require_no_wait(0.01)
    assert caught.value.retry_after_s == 0.01
    require_no_wait(0)


def test_a_guess_counts_at_once_and_its_repeats_do_not() -> None:
    gate = Gate()
    for number in range(SETTINGS.free_failures):
        key = b"%d" % number
        assert gate.throttle.attempt(gate.login_source(), key) is not None
        gate.throttle.found_wrong(gate.login_source(), key)
    with pytest.raises(Throttled):
        gate.throttle.attempt(gate.login_source(), b"one more")
    assert [gate.throttle.attempt(gate.login_source(), b"0") for _ in range(4)] == [None] * 4
    with pytest.raises(Throttled):
        gate.throttle.attempt(gate.login_source(), b"0")
    assert gate.throttle.attempt(gate.login_source(source=THERE), b"one more") is not None
    gate.throttle.forgive(gate.login_source())
    gate.throttle.undo(gate.throttle.attempt(gate.login_source(), b"one more"))
    gate.throttle.undo(None)


async def test_a_spray_at_once_gets_no_more_than_one_after_another() -> None:
    gate = Gate()
    logins = [
        asyncio.create_task(gate.login(f"user{number}", Outcome.WRONG)) for number in range(1_000)
    ]
    await settle()
    assert len(gate.inside) == SETTINGS.source_free_accounts
    await gate.pass_s(HOLD_S + DRAW_S, step_s=0.05)
    outcomes = await asyncio.gather(*logins, return_exceptions=True)
    checked = len(gate.inside) - SETTINGS.source_free_accounts
    assert 5 <= checked <= 8  # after 1, 2, 4, 8 and then each 10 s
    assert sum(isinstance(outcome, Throttled) for outcome in outcomes) == 980 - checked
    assert not gate.throttle._waiting


async def test_300_good_logins_in_one_moment_all_get_in() -> None:
    gate = Gate()
    accounts = [f"user{number}" for number in range(300)]
    await asyncio.gather(*(gate.login(account, Outcome.RIGHT) for account in accounts))
    assert sorted(gate.inside) == sorted(accounts)
    assert not gate.throttle._waiting


async def test_a_slowed_source_lets_good_logins_in_after_a_pause_and_one_by_one() -> None:
    gate = Gate()
    await gate.spray()
    await gate.login("alice", Outcome.RIGHT, THERE)
    gate.inside.clear()
    names = ("ana", "bea", "carla")
    logins = [asyncio.create_task(gate.login(name, Outcome.RIGHT)) for name in names]
    await gate.pass_s(0.9)
    assert gate.inside == []
    await gate.pass_s(0.1 + 3 * (CHECK_S + DRAW_S))
    await asyncio.gather(*logins)
    assert sorted(gate.inside) == sorted(names)


async def test_a_right_password_gets_in_during_a_spray_that_never_ends() -> None:
    """Ten connections spray from the same address, without a pause and without an end."""
    gate = Gate()
    await gate.spray()
    counter = itertools.count()

    async def spray() -> None:
        while True:
            with contextlib.suppress(Throttled):
                await gate.login(f"sprayed{next(counter)}", Outcome.WRONG)

    async def user() -> int:
        for tries in itertools.count(1):
            with contextlib.suppress(Throttled):
                await gate.login("alice", Outcome.RIGHT)
                return tries
        raise AssertionError("no end to count")

    sprayers = [asyncio.create_task(spray()) for _ in range(10)]
    try:
        alice = asyncio.create_task(user())
        began_s = gate.clock.monotonic_s()
        while not alice.done():
            await gate.pass_s(1.0, step_s=0.01)
            assert gate.clock.monotonic_s() - began_s < 30 * 60
    finally:
        for sprayer in sprayers:
            sprayer.cancel()
        await asyncio.gather(*sprayers, return_exceptions=True)
    passed_s = gate.clock.monotonic_s() - began_s
    assert len(gate.inside) - SETTINGS.source_free_accounts <= passed_s / 10 + 5


async def test_a_login_that_has_no_turn_in_time_is_told_to_ask_again() -> None:
    gate = Gate()
    await gate.spray()
    gate.clock.advance(SETTINGS.delay_max_s)
    checked = asyncio.Event()

    async def slow_check() -> None:
        async with gate.throttle.turn(gate.login_source("slow")):
            gate.inside.append("slow")
            await checked.wait()

    slow = asyncio.create_task(slow_check())
    await gate.pass_s(DRAW_S)
    assert gate.inside[-1] == "slow"
    waiting = asyncio.create_task(gate.login("alice", Outcome.RIGHT))
    await gate.pass_s(HOLD_S + DRAW_S, step_s=0.1)
    with pytest.raises(Throttled):
        await waiting
    checked.set()
    await slow
    assert "alice" not in gate.inside


async def test_only_so_many_are_held_of_one_source_and_in_all() -> None:
    gate = Gate()
    sources = [f"192.0.2.{number}" for number in range(10, 15)]
    for source in sources:
        for number in range(SETTINGS.source_free_accounts):
            await gate.login(f"user{number}", Outcome.WRONG, source)
    held: list[asyncio.Task[None]] = []
    refused = []
    for source in sources:
        held += [
            asyncio.create_task(gate.login(str(number), Outcome.RIGHT, source))
            for number in range(HELD_MAX + 1)
        ]
        await settle()
        refused.append(sum(task.done() for task in held))
    assert refused == [1, 2, 3, 4, 4 + HELD_MAX + 1]
    assert HELD_IN_ALL_MAX == 4 * HELD_MAX
    for task in held:
        task.cancel()
    outcomes = await asyncio.gather(*held, return_exceptions=True)
    assert sum(isinstance(outcome, Unavailable) for outcome in outcomes) == refused[-1]
    assert not gate.throttle._held


async def test_whoever_gives_up_waiting_holds_nobody_up() -> None:
    gate = Gate()
    free = SETTINGS.source_free_accounts
    for number in range(free - 1):
        await gate.login(f"user{number}", Outcome.WRONG)
    async with gate.throttle.turn(gate.login_source()) as turn:
        waiting = [asyncio.create_task(gate.login(name, Outcome.RIGHT)) for name in "abcd"]
        await asyncio.sleep(0)
        waiting[1].cancel()
        turn.outcome = Outcome.RIGHT
    waiting[0].cancel()  # it has been told that its turn has come
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [isinstance(outcome, asyncio.CancelledError) for outcome in outcomes[:2]] == [True] * 2
    assert gate.inside[-2:] == ["c", "d"]


async def test_a_familiar_account_gets_in_at_once_during_a_spray_also_after_a_restart() -> None:
    before = Gate()
    before.store.logins[ALICE] = FamiliarLogin("alice", "default", age_s=3_600.0)
    await before.familiar.save(ALICE, before.login_source("alice@default"))
    gate = Gate(store=before.store)
    await gate.spray()
    await gate.login("alice@default", Outcome.RIGHT)
    assert gate.inside[-1] == "alice@default"
    assert gate.store.asked == 1


async def test_failures_of_familiar_accounts_keep_out_no_other_familiar_account() -> None:
    """Somebody behind the same address knows the logins of 28 people there, and never rests."""
    gate = Gate()
    known = [f"user{number}" for number in range(28)]
    for account in [*known, "alice"]:
        await gate.login(account, Outcome.RIGHT)

    async def attack(account: str) -> None:
        while True:
            with contextlib.suppress(Throttled):
                await gate.login(account, Outcome.WRONG)

    attackers = [asyncio.create_task(attack(account)) for account in known + known[:12]]
    try:
        await gate.pass_s(60.0, step_s=0.01)
        alice = asyncio.create_task(gate.login("alice", Outcome.RIGHT))
        await gate.pass_s(PAUSE_MAX_S + CHECK_S + 2 * DRAW_S, step_s=0.01)
        assert alice.done()
        await alice
    finally:
        for attacker in attackers:
            attacker.cancel()
        await asyncio.gather(*attackers, return_exceptions=True)


async def test_the_database_is_not_asked_who_is_familiar_while_few_fail() -> None:
    gate = Gate()
    for number in range(SETTINGS.source_free_accounts - 1):
        await gate.login(f"user{number}", Outcome.WRONG)
    await gate.login("alice", Outcome.RIGHT)
    assert gate.store.asked == 0


async def test_only_so_many_may_wait() -> None:
    gate = Gate()
    await gate.familiar.learn(gate.login_source())  # so that nobody waits for that
    logins = [gate.login(str(number), Outcome.RIGHT) for number in range(WAITING_MAX + 25)]
    outcomes = await asyncio.gather(*logins, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, Unavailable)]
    assert len(refused) == 25 - SETTINGS.source_free_accounts


def test_memory_answers_until_too_many_guesses_were_compared_with_it() -> None:
    gate = Gate()
    for number in range(SETTINGS.free_failures):
        assert gate.throttle.may_use_cache(gate.login_source())
        for _ in range(3):
            gate.throttle.count_unverified(gate.login_source(), b"%d" % number)
    assert not gate.throttle.may_use_cache(gate.login_source())
    assert gate.throttle.may_use_cache(gate.login_source(source=THERE))
    gate.clock.advance(1.01)
    assert gate.throttle.may_use_cache(gate.login_source())


async def test_a_crowd_of_guesses_over_accounts_gets_no_answers_but_those_known_there_do() -> None:
    gate = Gate()
    await gate.login("known", Outcome.RIGHT)
    for number in range(MANY * SETTINGS.free_failures):
        gate.throttle.count_unverified(gate.login_source(f"user{number}"), b"%d" % number)
    assert not gate.throttle.may_use_cache(gate.login_source())
    assert gate.throttle.may_use_cache(gate.login_source("known"))
