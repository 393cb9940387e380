"""Real processes in a real group, and a swap device of their own to be pushed to."""

import secrets
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from qvdnode.host import process
from qvdnode.host.cgroups import Cgroups, CgroupVersion, probe
from qvdnode.memopt.live_reclaim import LiveReclaimer
from qvdnode.memopt.zram import Zram
from qvdnode.model.errors import HostFailed
from qvdnode.runtime.clock import SystemClock
from tests.waiting import until

MIB = 1 << 20
SIZE_MIB, PUSHED_MIB, LIMIT_MIB = 96, 24, 256
PROGRAM = f"""
import sys, time
held = bytearray({SIZE_MIB} * {MIB})
for at in range(0, len(held), 4096):
    held[at:at + 8] = at.to_bytes(8, "little")
print("ready", flush=True)
sys.stdin.readline()
print(sum(int.from_bytes(held[at:at + 8], "little") != at for at in range(0, len(held), 4096)))
"""


@pytest.fixture
def group() -> Iterator[str]:
    cgroups, name = probe(), f"qvdtest-{secrets.token_hex(4)}"
    for hierarchy in cgroups.hierarchies:
        if hierarchy.name != "cpuset":
            (hierarchy / name).mkdir()
            if (hierarchy / name / "memory.limit_in_bytes").exists():
                limit = hierarchy / name / "memory.limit_in_bytes"
                limit.write_text(str(LIMIT_MIB * MIB), encoding="ascii")
    yield name
    cgroups.kill(name)
    cgroups.remove(name)


@pytest_asyncio.fixture
async def swap(tmp_path: Path) -> AsyncIterator[None]:
    zram = Zram(tmp_path / "zram", SystemClock())
    await zram.up(256 * MIB)
    yield
    await zram.down()


@pytest.mark.alone
@pytest.mark.usefixtures("swap")
async def test_a_part_of_a_running_programs_memory_goes_to_swap_and_comes_back(
    group: str,
) -> None:
    cgroups = probe()
    enter = "".join(
        f"echo $$ > {hierarchy / group}/cgroup.procs; "
        for hierarchy in cgroups.hierarchies
        if (hierarchy / group).is_dir()
    )
    child = await process.spawn_piped(
        ["sh", "-c", f'{enter} exec "$0" -c "$1"', sys.executable, PROGRAM]
    )
    try:
        assert child.stdout is not None
        assert child.stdin is not None
        assert await child.stdout.readline() == b"ready\n"
        before = cgroups.memory(group)
        assert before.swapped_bytes == 0
        await LiveReclaimer(cgroups).push([(group, PUSHED_MIB * MIB)])
        pushed = cgroups.memory(group)
        assert PUSHED_MIB / 2 * MIB <= pushed.swapped_bytes <= 2 * PUSHED_MIB * MIB
        assert pushed.limit_bytes == before.limit_bytes, "the limit was not put back"
        child.stdin.write(b"check\n")
        assert await child.stdout.readline() == b"0\n", "memory was lost"
        await until(lambda: cgroups.memory(group).refaults > 0, what="refaults to be counted")
    finally:
        await process.end(child, grace_s=0)


async def test_a_kernel_that_cannot_says_so(tmp_path: Path) -> None:
    reclaimer = LiveReclaimer(Cgroups(CgroupVersion.V2, (tmp_path,)))
    with pytest.raises(HostFailed, match="cannot be pushed"):
        await reclaimer.push([("guests", MIB)])
