import asyncio

import pytest

from qvdnode.model.errors import HostFailed
from qvdnode.net.periodic_check import CHECK_EVERY_S, keep_checking
from tests.fakes.clock import ManualClock
from tests.waiting import until


async def test_it_checks_again_also_after_the_host_has_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, checks = ManualClock(), list[int]()

    async def check() -> None:
        checks.append(len(checks))
        if len(checks) == 1:
            raise HostFailed("netlink is busy")

    async def period() -> int:
        before = len(checks)
        await until(lambda: clock.sleepers == 1)
        assert len(checks) == before
        clock.advance(CHECK_EVERY_S)
        await until(lambda: len(checks) > before)
        return len(checks)

    async with asyncio.TaskGroup() as group:
        upkeep = group.create_task(keep_checking("rules", check, clock))
        assert [await period() for _ in range(3)] == [1, 2, 3]
        upkeep.cancel()
    assert [record.message for record in caplog.records] == ["host_not_checked"]


async def test_a_mistake_of_ours_ends_it() -> None:
    clock = ManualClock()

    async def check() -> None:
        raise KeyError("bridge")

    upkeep = asyncio.create_task(keep_checking("network", check, clock))
    await until(lambda: clock.sleepers == 1)
    clock.advance(CHECK_EVERY_S)
    with pytest.raises(KeyError):
        await upkeep
