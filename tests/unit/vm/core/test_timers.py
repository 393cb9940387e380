import asyncio
from collections.abc import AsyncIterator

import pytest

from qvdnode.runtime.supervise import Supervisor
from qvdnode.vm.timers import Timer, Timers
from tests.fakes.clock import ManualClock


class Bell:
    """Timers on a clock of their own, and who rang."""

    def __init__(self, tasks: Supervisor) -> None:
        self.clock = ManualClock()
        self.rang: list[Timer] = []
        self.timers = Timers(self.clock, tasks, self._fired)

    def _fired(self, timer: Timer, serial: int) -> None:
        if self.timers.take(timer, serial):
            self.rang.append(timer)

    async def passes(self, seconds: float) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        self.clock.advance(seconds)
        for _ in range(5):
            await asyncio.sleep(0)


@pytest.fixture
async def bell() -> AsyncIterator[Bell]:
    async with Supervisor("test") as tasks:
        yield Bell(tasks)


async def test_a_timer_rings_once(bell: Bell) -> None:
    bell.timers.arm(Timer.BOOT, 60.0)
    await bell.passes(59.0)
    assert bell.rang == []
    await bell.passes(1.0)
    assert bell.rang == [Timer.BOOT]
    await bell.passes(120.0)
    assert bell.rang == [Timer.BOOT]


async def test_a_timer_disarmed_is_stale(bell: Bell) -> None:
    bell.timers.arm(Timer.BOOT, 60.0)
    bell.timers.disarm(Timer.BOOT)
    await bell.passes(61.0)
    assert bell.rang == []


async def test_a_timer_armed_again_rings_at_its_later_time_only(bell: Bell) -> None:
    bell.timers.arm(Timer.STOP, 10.0)
    await bell.passes(5.0)
    bell.timers.arm(Timer.STOP, 10.0)
    await bell.passes(6.0)
    assert bell.rang == []
    await bell.passes(5.0)
    assert bell.rang == [Timer.STOP]


async def test_timers_of_different_kinds_do_not_meet(bell: Bell) -> None:
    bell.timers.arm(Timer.STOP, 10.0)
    bell.timers.arm(Timer.ATTACH, 5.0)
    await bell.passes(20.0)
    assert sorted(bell.rang) == [Timer.ATTACH, Timer.STOP]
