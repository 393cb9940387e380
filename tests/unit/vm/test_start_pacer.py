"""The number of starts at once follows the host's stalls."""

import asyncio

from qvdnode.vm.core.start_pace import Stalls
from qvdnode.vm.start_pacer import EVERY_S, StartPacer
from tests.fakes.clock import ManualClock
from tests.waiting import until


async def test_stalls_halve_the_starts_and_a_minute_without_gives_one_more() -> None:
    clock, told, stalls = ManualClock(), list[int](), Stalls(memory_full_pct=20.0)
    pacer = StartPacer(8, lambda: stalls, told.append, clock)
    task = asyncio.create_task(pacer.run())
    await until(lambda: clock.sleepers == 1)
    clock.advance(EVERY_S)
    await until(lambda: told == [4])
    stalls = Stalls()
    for _ in range(12):
        await until(lambda: clock.sleepers == 1)
        clock.advance(EVERY_S)
    await until(lambda: told == [4, 5])
    task.cancel()
