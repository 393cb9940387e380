"""A program in a control group of its own that has memory, and a swap device for it."""

import contextlib
import secrets
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from qvdnode.host import process
from qvdnode.host.cgroups import probe
from qvdnode.host.child import Child
from qvdnode.memopt.zram import Zram
from qvdnode.runtime.clock import SystemClock

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


def own_group() -> Iterator[str]:
    """The name of a new control group, gone afterwards with all that is in it."""
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


@contextlib.asynccontextmanager
async def swap(record: Path, size_mib: int) -> AsyncIterator[None]:
    zram = Zram(record, SystemClock())
    await zram.up(size_mib * MIB)
    try:
        yield
    finally:
        await zram.down()


@contextlib.asynccontextmanager
async def holder(group: str) -> AsyncIterator[Child]:
    """A program in that group that has memory, and tells on request how much of it is wrong."""
    enter = "".join(
        f"echo $$ > {hierarchy / group}/cgroup.procs; "
        for hierarchy in probe().hierarchies
        if (hierarchy / group).is_dir()
    )
    child = await process.spawn_piped(
        ["sh", "-c", f'{enter} exec "$0" -c "$1"', sys.executable, PROGRAM]
    )
    try:
        assert child.stdout is not None
        assert await child.stdout.readline() == b"ready\n"
        yield child
    finally:
        await process.end(child, grace_s=0)


async def assert_whole(child: Child) -> None:
    assert child.stdout is not None
    assert child.stdin is not None
    child.stdin.write(b"check\n")
    assert await child.stdout.readline() == b"0\n", "memory was lost"
