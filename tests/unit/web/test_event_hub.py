"""One listener and many readers, without a database."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from qvdnode.model.change import Change
from qvdnode.model.errors import Unavailable
from qvdnode.runtime.supervise import Supervisor
from qvdnode.web.event_hub import (
    AWAY,
    BEHIND,
    LINGER_S,
    STOPPING,
    UNKNOWN,
    WAITING_MAX,
    EventHub,
)
from qvdnode.web.ports import ChangeSink
from tests.fakes.clock import ManualClock
from tests.waiting import until


class FakeSource:
    """Satisfies ChangeSource: delivers what tests put in, and fails when they say so."""

    def __init__(self) -> None:
        self.sink: ChangeSink | None = None
        self.begun = 0
        self.step = asyncio.Event()
        self.away = False

    async def listen(self, sink: ChangeSink) -> None:
        """As ChangeSource."""
        self.begun += 1
        self.sink = sink
        sink.begun()
        try:
            while sink.is_wanted():
                await self.step.wait()
                self.step.clear()
                if self.away:
                    raise Unavailable("away")
        finally:
            self.sink = None


def change(number: int) -> Change:
    return Change("vm", number, "update", {})


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def source() -> FakeSource:
    return FakeSource()


@pytest.fixture
async def hub(source: FakeSource, clock: ManualClock) -> AsyncIterator[EventHub]:
    made = EventHub("a", source, clock)
    async with Supervisor("test") as tasks:
        _ = tasks.essential("hub", made.run())
        yield made


async def test_every_reader_gets_every_change(hub: EventHub) -> None:
    async with hub.reading(None) as one, hub.reading(None) as two:
        for number in range(3):
            hub.deliver(change(number))
        for queue in (one, two):
            await queue.wait(5)
            lost, changes = queue.take()
            assert lost is None
            assert [item.change.id for item in changes] == [0, 1, 2]
            assert queue.take() == (None, [])


async def test_nothing_is_listened_to_without_a_reader(
    hub: EventHub, source: FakeSource, clock: ManualClock
) -> None:
    await asyncio.sleep(0)
    assert source.begun == 0
    async with hub.reading(None):
        assert source.begun == 1
    assert hub.is_wanted()
    clock.advance(LINGER_S + 1)
    source.step.set()
    await until(lambda: source.sink is None)
    async with hub.reading(None) as queue:
        assert queue.take() == (None, [])
        assert source.begun == 2


async def test_a_reader_that_comes_back_gets_what_it_missed(hub: EventHub) -> None:
    async with hub.reading(None) as queue:
        hub.deliver(change(1))
        _, (first,) = queue.take()
    hub.deliver(change(2))
    async with hub.reading(first.id) as queue:
        lost, changes = queue.take()
        assert (lost, [item.change.id for item in changes]) == (None, [2])
    async with hub.reading("other-7") as queue:
        assert queue.take() == (UNKNOWN, [])


async def test_a_slow_reader_loses_its_backlog_and_is_told(hub: EventHub) -> None:
    async with hub.reading(None) as slow, hub.reading(None) as quick:
        for number in range(WAITING_MAX + 50):
            hub.deliver(change(number))
            quick.take()
        assert slow.take() == (BEHIND, [])
        hub.deliver(change(7))
        lost, changes = slow.take()
        assert (lost, [item.change.id for item in changes]) == (None, [7])


async def test_a_lost_database_is_told_once_it_is_back(
    hub: EventHub, source: FakeSource, clock: ManualClock
) -> None:
    async with hub.reading(None) as queue:
        hub.deliver(change(1))
        _, (first,) = queue.take()
        source.away = True
        source.step.set()
        await until(lambda: source.sink is None)
        source.away = False
        clock.advance(2)
        await until(lambda: source.begun == 2)
        assert queue.take() == (AWAY, [])
        async with hub.reading(first.id) as late:
            assert late.take() == (UNKNOWN, [])


async def test_the_end_of_the_node_ends_all(hub: EventHub) -> None:
    async with hub.reading(None) as queue:
        hub.end_all()
        await queue.wait(5)
        assert queue.ended == STOPPING
    async with hub.reading(None) as late:
        assert late.ended == STOPPING


async def test_waiting_has_an_end(hub: EventHub) -> None:
    async with hub.reading(None) as queue:
        await queue.wait(0.01)
        assert queue.take() == (None, [])
