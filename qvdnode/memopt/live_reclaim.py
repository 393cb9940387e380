"""Pushes a part of the memory of guests that run to swap. core/live_reclaim.py decides how much."""

import asyncio
from collections.abc import Sequence
from typing import Final

from qvdnode.host import process
from qvdnode.host.cgroups import Cgroups
from qvdnode.memopt.own_reclaim import OwnReclaim
from qvdnode.model.errors import HostFailed
from qvdnode.runtime.shield import run_shielded

LIMIT_S: Final = 30.0
SCRIPT: Final = """\
while read -r file now after; do
    echo "$now" >"$file"
    test -z "$after" || echo "$after" >"$file"
done 2>/dev/null
"""
"""Each line has a file, what to write, and what to write after that. The kernel works for as long
as a write takes, so a child does it."""
WRITER: Final = ("/bin/sh", "-c", SCRIPT)
"""Not at a lower priority: guests that start would leave it next to nothing, and the host would run
out of memory that could be had."""


class LiveReclaimer:
    """Takes one round of steps at a time."""

    def __init__(self, cgroups: Cgroups, own: OwnReclaim) -> None:
        self._cgroups = cgroups
        self._own = own
        self._turn = asyncio.Semaphore(1)

    async def push(self, steps: Sequence[tuple[str, int]]) -> None:
        """Push so many bytes of each group's least recently used memory to swap.

        What the kernel cannot push stays where it is. Raises HostFailed, TimedOut.
        """
        writes = [line for group, size in steps for line in self._cgroups.push_writes(group, size)]
        if not writes:
            raise HostFailed("the memory of running guests cannot be pushed to swap by this kernel")
        text = "".join(f"{file} {now} {after}\n" for file, now, after in writes)
        async with self._turn:
            # To the end in any case: version 1's limit is lowered for a moment.
            await run_shielded(self._write(text))

    async def _write(self, text: str) -> None:
        with self._own.running():
            await process.run(WRITER, stdin=text.encode(), limit_s=LIMIT_S, check=False)
