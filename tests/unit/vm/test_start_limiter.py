import asyncio

import pytest

from qvdnode.model.errors import NodeFull
from qvdnode.vm.start_limiter import StartLimiter


class Start:
    """One VM that takes a turn and holds it until told to end."""

    def __init__(self, limiter: StartLimiter, began: list["Start"]) -> None:
        self.places: list[int] = []
        self.end = asyncio.Event()
        self._began = began
        self.task = asyncio.create_task(self._run(limiter))

    async def _run(self, limiter: StartLimiter) -> None:
        async with limiter.slot(self.places.append):
            self._began.append(self)
            await self.end.wait()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_so_many_at_once_and_the_rest_in_order() -> None:
    limiter, began = StartLimiter(2, 10), list[Start]()
    starts = [Start(limiter, began) for _ in range(4)]
    await settled()
    assert began == starts[:2]
    assert [start.places for start in starts] == [[], [], [1], [2]]
    starts[1].end.set()
    await settled()
    assert began == starts[:3]
    assert starts[3].places == [2, 1]
    for start in starts:
        start.end.set()
    await asyncio.gather(*(start.task for start in starts))
    assert began == starts
    assert limiter.queued == 0


async def test_a_full_queue_refuses() -> None:
    limiter, began = StartLimiter(1, 1), list[Start]()
    starts = [Start(limiter, began) for _ in range(3)]
    await settled()
    with pytest.raises(NodeFull, match="1 desktop waits to be started"):
        await starts[2].task
    for start in starts:
        start.end.set()
    await asyncio.gather(*(start.task for start in starts[:2]))


async def test_who_gives_up_leaves_the_queue() -> None:
    limiter, began = StartLimiter(1, 10), list[Start]()
    starts = [Start(limiter, began) for _ in range(3)]
    await settled()
    starts[1].task.cancel()
    await settled()
    assert starts[2].places == [2, 1]
    starts[0].end.set()
    await settled()
    assert began == [starts[0], starts[2]]
    starts[2].end.set()
    await starts[2].task


async def test_a_turn_that_comes_too_late_goes_to_the_next() -> None:
    limiter, began = StartLimiter(1, 10), list[Start]()
    starts = [Start(limiter, began) for _ in range(3)]
    await settled()
    starts[0].end.set()
    starts[1].task.cancel()
    await settled()
    assert began == [starts[0], starts[2]]
    starts[2].end.set()
    await starts[2].task
    async with asyncio.timeout(1), limiter.slot(lambda _place: None):
        pass


async def test_a_failed_start_passes_its_turn_on() -> None:
    limiter = StartLimiter(1, 10)

    async def fail() -> None:
        async with limiter.slot(lambda _place: None):
            raise OSError("no such image")

    for _ in range(3):
        with pytest.raises(OSError, match="no such image"):
            await fail()
    async with asyncio.timeout(1), limiter.slot(lambda _place: None):
        pass


async def test_more_slots_wake_who_waits() -> None:
    limiter, began = StartLimiter(1, 10), list[Start]()
    starts = [Start(limiter, began) for _ in range(4)]
    await settled()
    limiter.resize(3)
    await settled()
    assert limiter.at_once == 3
    assert began == starts[:3]
    assert starts[3].places == [3, 1]
    for start in starts:
        start.end.set()
    await settled()
    assert began == starts
