"""Real processes in a real group, and a swap device of their own to be pushed to."""

from pathlib import Path

import pytest

from qvdnode.host.cgroups import Cgroups, CgroupVersion, probe
from qvdnode.memopt.live_reclaim import LiveReclaimer
from qvdnode.memopt.own_reclaim import OwnReclaim
from qvdnode.model.errors import HostFailed
from qvdnode.runtime.clock import SystemClock
from tests.integration.memopt.held_memory import (
    MIB,
    PUSHED_MIB,
    SIZE_MIB,
    assert_whole,
    holder,
    swap,
)
from tests.waiting import until


@pytest.mark.alone
async def test_a_part_of_a_running_programs_memory_goes_to_swap_and_comes_back(
    group: str, tmp_path: Path
) -> None:
    cgroups = probe()
    async with swap(tmp_path / "zram", 256), holder(group) as child:
        before = cgroups.memory(group)
        assert before.swapped_bytes == 0
        await LiveReclaimer(cgroups, OwnReclaim(SystemClock())).push([(group, PUSHED_MIB * MIB)])
        pushed = cgroups.memory(group)
        assert PUSHED_MIB / 2 * MIB <= pushed.swapped_bytes <= 2 * PUSHED_MIB * MIB
        assert pushed.limit_bytes == before.limit_bytes, "the limit was not put back"
        await assert_whole(child)
        await until(lambda: cgroups.memory(group).refaults > 0, what="refaults to be counted")


@pytest.mark.alone
async def test_a_full_swap_takes_no_more_and_nobody_is_hurt(group: str, tmp_path: Path) -> None:
    cgroups = probe()
    async with swap(tmp_path / "zram", 16), holder(group) as child:
        before = cgroups.memory(group)
        await LiveReclaimer(cgroups, OwnReclaim(SystemClock())).push([(group, SIZE_MIB // 2 * MIB)])
        after = cgroups.memory(group)
        assert after.swapped_bytes <= 16 * MIB
        assert after.limit_bytes == before.limit_bytes, "the limit was not put back"
        assert cgroups.killed(group) == 0
        await assert_whole(child)


async def test_a_kernel_that_cannot_says_so(tmp_path: Path) -> None:
    reclaimer = LiveReclaimer(Cgroups(CgroupVersion.V2, (tmp_path,)), OwnReclaim(SystemClock()))
    with pytest.raises(HostFailed, match="cannot be pushed"):
        await reclaimer.push([("guests", MIB)])
