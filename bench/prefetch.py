"""Whether reading pages back before a thawed program needs them beats its own faults.

A program with 96 MiB of memory has all of it in compressed swap (zram), as a hibernated desktop.
Then it touches what a desktop needs at its thaw, in runs of a few pages all over its memory. Every
second time those pages are read back before, from outside, by process_madvise(MADV_WILLNEED). The
node must know them for that; here they are known for free, which is the best case.
"""

import os
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from bench import options, results_file
from bench.results_file import Figure, median
from bench.running import run
from qvdnode.host import linux_calls, process
from qvdnode.host.cgroups import Cgroups, probe
from qvdnode.host.child import Child
from qvdnode.memopt.core.page_runs import PAGE, RANGE
from qvdnode.memopt.zram import Zram
from qvdnode.runtime.clock import SystemClock

MIB: Final = 1 << 20
SIZE: Final = 96 * MIB
RUN_PAGES: Final = 8
EVERY_PAGES: Final = 64
"""One run in so many pages: 12 MiB of 96."""
RANGES_MAX: Final = 512
"""In one call; the kernel takes 1,024."""
PROGRAM: Final = f"""
import ctypes, mmap, sys, time
held = mmap.mmap(-1, {SIZE}, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
word = b"pixels and widgets %08d"
for at in range(0, len(held), {PAGE}):
    held[at:at + 2700] = (word % at * 100)[:2700]
print(ctypes.addressof(ctypes.c_char.from_buffer(held)), flush=True)
for line in sys.stdin:
    began = time.perf_counter()
    for run in range(0, len(held), {EVERY_PAGES * PAGE}):
        for at in range(run, run + {RUN_PAGES * PAGE}, {PAGE}):
            held[at]
    print(time.perf_counter() - began, flush=True)
"""


@dataclass(frozen=True, slots=True)
class Samples:
    """Milliseconds of each try."""

    faults: list[float] = field(default_factory=list)
    """The program alone."""
    prefetched: list[float] = field(default_factory=list)
    """The program, its pages read back before."""
    prefetch: list[float] = field(default_factory=list)
    """The reading back."""


async def measure(tries: int) -> Samples:
    """Half of the tries with, half without."""
    found, cgroups, group = Samples(), probe(), f"qvdbench-{secrets.token_hex(4)}"
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        zram = Zram(folder / "zram", SystemClock())
        await zram.up(256 * MIB)
        stack.push_async_callback(zram.down)
        for hierarchy in cgroups.hierarchies:
            if hierarchy.name != "cpuset":
                (hierarchy / group).mkdir()
        stack.callback(cgroups.remove, group)
        child, base = await started(cgroups, group)
        stack.push_async_callback(process.end, child, grace_s=0)
        for number in range(tries):
            await push_all(cgroups, group)
            if number % 2:
                began = time.perf_counter()
                read_back(child.pid, base)
                found.prefetch.append(1000 * (time.perf_counter() - began))
                found.prefetched.append(await touch(child))
            else:
                found.faults.append(await touch(child))
    return found


async def started(cgroups: Cgroups, group: str) -> tuple[Child, int]:
    """The program in its group, and where its memory begins."""
    enter = "".join(
        f"echo $$ > {hierarchy / group}/cgroup.procs; "
        for hierarchy in cgroups.hierarchies
        if (hierarchy / group).is_dir()
    )
    child = await process.spawn_piped(
        ["sh", "-c", f'{enter} exec "$0" -c "$1"', sys.executable, PROGRAM]
    )
    assert child.stdout is not None
    return child, int(await child.stdout.readline())


async def push_all(cgroups: Cgroups, group: str) -> None:
    """Push its memory to swap."""
    file, content = cgroups.reclaim_file(group) or sys.exit("this kernel cannot reclaim a group")
    await process.run(["tee", file], stdin=content.encode(), check=False, limit_s=60)
    if cgroups.memory(group).swapped_bytes < SIZE * 0.9:
        raise AssertionError("its memory did not go to swap")


async def touch(child: Child) -> float:
    """How long the program takes for what it needs, in milliseconds."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(b"touch\n")
    return 1000 * float(await child.stdout.readline())


def read_back(pid: int, base: int) -> None:
    """Have the kernel read the program's pages; returns once it has."""
    starts = range(base, base + SIZE, EVERY_PAGES * PAGE)
    descriptor = os.pidfd_open(pid)
    try:
        for first in range(0, len(starts), RANGES_MAX):
            part = starts[first : first + RANGES_MAX]
            ranges = b"".join(RANGE.pack(at, RUN_PAGES * PAGE) for at in part)
            linux_calls.will_need(descriptor, ranges, len(part))
    finally:
        os.close(descriptor)


def figures(rounds: Sequence[Samples]) -> dict[str, Figure]:
    """The median of each round, and of the rounds."""

    def middle(values: Sequence[float]) -> float:
        return sorted(values)[len(values) // 2]

    faults = [middle(one.faults) for one in rounds]
    after = [middle(one.prefetched) for one in rounds]
    before = [middle(one.prefetch) for one in rounds]
    both = [a + b for a, b in zip(after, before, strict=True)]
    return {
        "faults_ms": median(faults),
        "prefetch_ms": median(before),
        "after_prefetch_ms": median(after),
        "both_ratio": median([two / one for one, two in zip(faults, both, strict=True)]),
    }


def main() -> None:
    """Measure and write bench/results/prefetch.json."""
    asked = options.parsed(__doc__, rounds=5, quick_rounds=1)
    rounds = [run(measure(20)) for _ in range(asked.rounds)]
    raw = {"rounds": [asdict(one) for one in rounds]}
    results_file.report("prefetch", figures(rounds), raw, asked)


if __name__ == "__main__":
    main()
