"""Who waits, for how long, and in which order."""

import asyncio

import pytest

from qvdnode.auth.core.attempt import Asker
from qvdnode.auth.settings import AuthSettings
from qvdnode.auth.throttle import MANY, WAITING_MAX, LoginThrottle, Outcome, refuse
from qvdnode.model.errors import Throttled, Unavailable
from tests.fakes.clock import ManualClock

HERE, THERE = "192.0.2.1", "192.0.2.2"
SETTINGS = AuthSettings()


class Gate:
    """A throttle, its clock, and logins that end when they are told."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.throttle = LoginThrottle(self.clock, SETTINGS, b"s" * 32)
        self.inside: list[str] = []

    def asker(self, account: str = "alice", source: str = HERE) -> Asker:
        return self.throttle.asker(account, source)

    async def login(self, account: str, outcome: Outcome, source: str = HERE) -> None:
        async with self.throttle.turn(self.asker(account, source)) as turn:
            self.inside.append(account)
            await asyncio.sleep(0)  # the database, the hash
            turn.outcome = outcome

    async def spray(self) -> None:
        for number in range(SETTINGS.source_free_accounts):
            await self.login(f"user{number}", Outcome.WRONG)


def test_people_are_told_whole_seconds_and_never_none() -> None:
    with pytest.raises(Throttled, match=r"in 1 s\.") as caught:
        refuse(0.01)
    assert caught.value.retry_after_s == 0.01
    refuse(0)


def test_a_guess_counts_at_once_and_its_repeats_do_not() -> None:
    gate = Gate()
    for number in range(SETTINGS.free_failures):
        proof = b"%d" % number
        assert gate.throttle.attempt(gate.asker(), proof) is not None
        gate.throttle.found_wrong(gate.asker(), proof)
    with pytest.raises(Throttled):
        gate.throttle.attempt(gate.asker(), b"one more")
    assert [gate.throttle.attempt(gate.asker(), b"0") for _ in range(4)] == [None] * 4
    with pytest.raises(Throttled):
        gate.throttle.attempt(gate.asker(), b"0")
    assert gate.throttle.attempt(gate.asker(source=THERE), b"one more") is not None
    gate.throttle.forgive(gate.asker())
    gate.throttle.take_back(gate.throttle.attempt(gate.asker(), b"one more"))
    gate.throttle.take_back(None)


async def test_a_spray_at_once_gets_no_more_than_one_after_another() -> None:
    gate = Gate()
    logins = [gate.login(f"user{number}", Outcome.WRONG) for number in range(1_000)]
    outcomes = await asyncio.gather(*logins, return_exceptions=True)
    assert len(gate.inside) == SETTINGS.source_free_accounts
    assert sum(isinstance(outcome, Throttled) for outcome in outcomes) == 980
    assert not gate.throttle._waiting


async def test_300_good_logins_in_one_moment_all_get_in() -> None:
    gate = Gate()
    accounts = [f"user{number}" for number in range(300)]
    await asyncio.gather(*(gate.login(account, Outcome.RIGHT) for account in accounts))
    assert sorted(gate.inside) == sorted(accounts)
    assert not gate.throttle._waiting


async def test_a_slowed_source_lets_good_logins_in_one_by_one_after_the_wait() -> None:
    gate = Gate()
    await gate.spray()
    with pytest.raises(Throttled):
        await gate.login("alice", Outcome.RIGHT)
    await gate.login("alice", Outcome.RIGHT, THERE)
    gate.clock.advance(1.01)
    gate.inside.clear()
    await asyncio.gather(*(gate.login(name, Outcome.RIGHT) for name in ("ana", "bea", "carla")))
    assert gate.inside == ["ana", "bea", "carla"]


async def test_whoever_gives_up_waiting_holds_nobody_up() -> None:
    gate = Gate()
    await gate.spray()
    gate.clock.advance(1.01)
    async with gate.throttle.turn(gate.asker()):
        waiting = [asyncio.create_task(gate.login(name, Outcome.RIGHT)) for name in "abcd"]
        await asyncio.sleep(0)
        waiting[1].cancel()
    waiting[0].cancel()  # it has been told that its turn has come
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [isinstance(outcome, asyncio.CancelledError) for outcome in outcomes[:2]] == [True] * 2
    assert gate.inside[-2:] == ["c", "d"]


async def test_only_so_many_may_wait() -> None:
    gate = Gate()
    logins = [gate.login(str(number), Outcome.RIGHT) for number in range(WAITING_MAX + 25)]
    outcomes = await asyncio.gather(*logins, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, Unavailable)]
    assert len(refused) == 25 - SETTINGS.source_free_accounts


def test_memory_answers_until_too_many_guesses_were_compared_with_it() -> None:
    gate = Gate()
    for number in range(SETTINGS.free_failures):
        assert gate.throttle.may_ask_memory(gate.asker())
        for _ in range(3):
            gate.throttle.not_judged(gate.asker(), b"%d" % number)
    assert not gate.throttle.may_ask_memory(gate.asker())
    assert gate.throttle.may_ask_memory(gate.asker(source=THERE))
    gate.clock.advance(1.01)
    assert gate.throttle.may_ask_memory(gate.asker())


async def test_a_crowd_of_guesses_over_accounts_gets_no_answers_but_those_known_there_do() -> None:
    gate = Gate()
    await gate.login("known", Outcome.RIGHT)
    for number in range(MANY * SETTINGS.free_failures):
        gate.throttle.not_judged(gate.asker(f"user{number}"), b"%d" % number)
    assert not gate.throttle.may_ask_memory(gate.asker())
    assert gate.throttle.may_ask_memory(gate.asker("known"))
