"""Lookups of tokens that nobody remembers."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from qvdnode.auth.token_lookups import (
    INVALID_MAX,
    INVALID_S,
    LOOKUPS_AT_ONCE,
    PAUSE_S,
    WAITING_IN_ALL_MAX,
    WAITING_MAX,
    TokenLookups,
)
from qvdnode.model.errors import Unavailable
from tests.fakes.clock import ManualClock

HERE, THERE = "192.0.2.1", "192.0.2.2"
GOOD = "good"


class Database:
    """A table of tokens, slow enough for others to come meanwhile."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.lookups = TokenLookups(self.clock)
        self.asked: list[str] = []
        self.running = self.running_max = 0

    def of(self, token: str) -> Callable[[], Awaitable[str | None]]:
        async def look_up() -> str | None:
            self.asked.append(token)
            self.running += 1
            self.running_max = max(self.running_max, self.running)
            try:
                await asyncio.sleep(0)
            finally:
                self.running -= 1
            return token if token.startswith(GOOD) else None

        return look_up

    async def find(self, token: str, source: str = HERE) -> str | None:
        return await self.lookups.find(token.encode(), source, self.of(token))

    def flood(self, number: int, source: str = HERE) -> list[asyncio.Task[str | None]]:
        return [asyncio.create_task(self.find(f"{source} {one}", source)) for one in range(number)]

    async def pass_pauses(self, number: int) -> None:
        for _ in range(number):
            for _ in range(10):
                await asyncio.sleep(0)
            self.clock.advance(PAUSE_S)


async def test_a_right_token_behind_a_flood_waits_for_those_before_it() -> None:
    database = Database()
    flood = database.flood(64)
    right = asyncio.create_task(database.find(GOOD))
    await database.pass_pauses(64)
    assert await right == GOOD
    assert await asyncio.gather(*flood) == [None] * 64


async def test_a_source_pauses_after_each_invalid_token_while_others_of_it_wait() -> None:
    database = Database()
    flood = database.flood(10)
    await database.pass_pauses(5)
    assert 4 <= len(database.asked) <= 6
    await database.pass_pauses(6)
    await asyncio.gather(*flood)


async def test_a_right_token_from_elsewhere_waits_for_one_of_each_source() -> None:
    database = Database()
    floods = [task for source in "abc" for task in database.flood(50, f"192.0.2.{ord(source)}")]
    await asyncio.sleep(0)
    right = asyncio.create_task(database.find(GOOD, THERE))
    await database.pass_pauses(3)
    assert right.done()
    await database.pass_pauses(80)
    await asyncio.gather(*floods)


async def test_few_lookups_run_at_once_and_one_of_each_source() -> None:
    database = Database()
    sources = [f"192.0.2.{number}" for number in range(1, 20)]
    tokens = [database.find(f"{GOOD} {source}", source) for source in sources]
    assert len(await asyncio.gather(*tokens)) == len(sources)
    assert database.running_max == LOOKUPS_AT_ONCE
    database.running_max = 0
    await asyncio.gather(*(database.find(f"{GOOD} {number}") for number in range(20)))
    assert database.running_max == 1


async def test_a_invalid_token_again_costs_no_lookup_for_a_minute() -> None:
    database = Database()
    answers = [asyncio.create_task(database.find("expired")) for _ in range(30)]
    await database.pass_pauses(2)
    assert await asyncio.gather(*answers) == [None] * 30
    assert await database.find("expired") is None
    assert database.asked == ["expired"]
    database.clock.advance(INVALID_S)
    await database.find("expired")
    assert database.asked == ["expired"] * 2


async def test_the_memory_of_invalid_tokens_is_bounded() -> None:
    database = Database()
    for number in range(INVALID_MAX + 5):
        await database.find(str(number))
    assert len(database.lookups._invalid) == INVALID_MAX


async def test_only_so_many_of_one_source_may_wait() -> None:
    database = Database()
    flood = database.flood(WAITING_MAX + 4)
    await asyncio.sleep(0)
    assert await database.find(GOOD, THERE) == GOOD
    await database.pass_pauses(WAITING_MAX + 1)
    outcomes = await asyncio.gather(*flood, return_exceptions=True)
    assert sum(isinstance(outcome, Unavailable) for outcome in outcomes) == 4


async def refused_of(database: Database, sources: list[str], each: int) -> int:
    """How many lookups are refused when so many begin from each source; all are awaited."""
    floods = [task for source in sources for task in database.flood(each, source)]
    await asyncio.sleep(0)
    while not all(task.done() for task in floods):
        await database.pass_pauses(1)
    outcomes = await asyncio.gather(*floods, return_exceptions=True)
    assert not database.lookups._open
    return sum(isinstance(outcome, Unavailable) for outcome in outcomes)


async def test_few_addresses_do_not_fill_the_port_with_lookups_that_wait() -> None:
    each = WAITING_MAX
    sources = [f"192.0.2.{number}" for number in range(6)]
    assert await refused_of(Database(), sources, each) == 6 * each - WAITING_IN_ALL_MAX


async def test_the_networks_of_one_customer_count_together() -> None:
    sources = [f"2001:db8:0:{number:x}::1" for number in range(5)]
    assert await refused_of(Database(), sources, 900) == 5 * 900 - 4 * WAITING_MAX


async def test_nothing_is_looked_up_for_a_caller_that_has_left() -> None:
    database = Database()
    with pytest.raises(Unavailable):
        await database.lookups.find(b"t", HERE, database.of("t"), is_wanted=lambda: False)
    assert database.asked == []
    assert await database.find(GOOD) == GOOD


async def test_whoever_is_cancelled_holds_nobody_up() -> None:
    database = Database()
    waiting = [asyncio.create_task(database.find(f"{GOOD} {number}")) for number in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()  # has its turn
    waiting[1].cancel()  # waits
    await asyncio.sleep(0)
    waiting[2].cancel()  # was told that its turn has come, or waits for it
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert outcomes[3:] == [f"{GOOD} 3", f"{GOOD} 4"]
    assert len(database.lookups._queue) == 0


async def test_a_turn_that_comes_to_a_cancelled_waiter_goes_on_to_the_next() -> None:
    database = Database()
    first = asyncio.create_task(database.find(f"{GOOD} first"))
    await asyncio.sleep(0)  # it looks up, and is done in the next round of the loop
    second, third = (asyncio.create_task(database.find(f"{GOOD} {name}")) for name in ("b", "c"))
    await asyncio.sleep(0)
    second.cancel()
    assert await third == f"{GOOD} c"
    assert await first == f"{GOOD} first"
    with pytest.raises(asyncio.CancelledError):
        await second
    assert len(database.lookups._queue) == 0


async def test_a_failing_lookup_ends_its_turn() -> None:
    database = Database()

    async def away() -> None:
        raise Unavailable("The database is away.")

    with pytest.raises(Unavailable):
        await database.lookups.find(b"t", HERE, away)
    assert await database.find(GOOD) == GOOD
