"""Freezes guests and pushes memory to swap: vm.ports.GuestFreezer and memopt.ports.Reclaimer."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from qvdnode.host import process
from qvdnode.host.cgroups import Cgroups
from qvdnode.memopt.live_reclaim import LiveReclaimer
from qvdnode.memopt.own_reclaim import OwnReclaim
from qvdnode.memopt.prefetch import Prefetch
from qvdnode.model.errors import HostFailed, TimedOut
from qvdnode.runtime.clock import Clock
from qvdnode.telemetry.metrics import Histogram

log = logging.getLogger(__name__)

FREEZE_LIMIT_S: Final = 5.0
"""A process that waits for a disk freezes when its answer comes."""
FREEZE_PAUSE_S: Final = 0.01
RECLAIM_LIMIT_S: Final = 60.0
"""For one guest; a disk may be slow. What is not swapped by then stays where it is."""
WRITER: Final = ("/usr/bin/nice", "-n", "10", "/usr/bin/tee")
"""A child does the work for as long as it writes, so that it can be killed: the guest may be wanted
in the middle of it."""

RECLAIM_SECONDS = Histogram("qvdnode_guest_reclaim_seconds", "Pushing one frozen guest to swap")


class HostFreezer:
    """Freezes by control group; reclaims one guest after the other, so on one core at most."""

    def __init__(
        self,
        cgroups: Cgroups,
        clock: Clock,
        *,
        own: OwnReclaim | None = None,
        prefetch: Prefetch | None = None,
    ) -> None:
        """`prefetch` reads back what thawed guests need; without one their programs do.

        `own` counts for how long memory is pushed.
        """
        self._own = own or OwnReclaim(clock)
        self._prefetch = prefetch
        self._cgroups = cgroups
        self._clock = clock
        self._turn = asyncio.Semaphore(1)
        self._live = LiveReclaimer(cgroups, self._own)
        self.pending = 0
        """How many guests' memory is still to be pushed to swap."""

    def freeze(self, group: str) -> None:
        """Keep the group's processes from running; raises HostFailed. Does not wait."""
        if self._prefetch is not None:
            # It would read back what is about to be pushed out.
            self._prefetch.end(group)
        self._cgroups.freeze(group)

    def thaw(self, group: str) -> None:
        """Undo `freeze`; does not wait. A group that is gone is fine; raises HostFailed."""
        if self._prefetch is not None:
            # Before the thaw, so that pages are on their way when programs ask for them.
            self._prefetch.begin(group)
        self._cgroups.thaw(group)

    def is_frozen(self, group: str) -> bool:
        """Whether `freeze` was called last, even by an earlier process."""
        return self._cgroups.is_frozen(group)

    async def push(self, steps: Sequence[tuple[str, int]]) -> None:
        """Push so many bytes of each running group to swap; raises HostFailed, TimedOut."""
        await self._live.push(steps)

    async def reclaim(self, group: str) -> None:
        """Wait until the group is frozen, then push its memory to swap; cancel it before a thaw.

        Raises HostFailed or TimedOut when it does not freeze.
        """
        self.pending += 1
        try:
            await self._wait_frozen(group)
            async with self._turn:
                await self._push(group)
        finally:
            self.pending -= 1

    async def _wait_frozen(self, group: str) -> None:
        # The kernel freezes each thread when it next leaves the kernel, so a group freezes later
        # than it is told to. Memory that a thread still touches would come back at once.
        until_s = self._clock.monotonic_s() + FREEZE_LIMIT_S
        while not self._cgroups.has_frozen(group):
            if self._clock.monotonic_s() > until_s:
                raise TimedOut(f"{group} did not freeze within {FREEZE_LIMIT_S:g} s")
            await self._clock.sleep(FREEZE_PAUSE_S)

    async def _push(self, group: str) -> None:
        found = self._cgroups.reclaim_file(group)
        if found is None:
            raise HostFailed(f"the memory of {group} cannot be pushed to swap by this kernel")
        file, content = found
        before, began_s = self._cgroups.memory(group), self._clock.monotonic_s()
        try:
            # The kernel fails the write when some of it cannot be reclaimed, as is usual.
            with self._own.running():
                await process.run(
                    (*WRITER, file), stdin=content.encode(), limit_s=RECLAIM_LIMIT_S, check=False
                )
        except TimedOut as error:
            log.warning("reclaim_cut_short", extra={"group": group, "because": str(error)})
        after, seconds = self._cgroups.memory(group), self._clock.monotonic_s() - began_s
        RECLAIM_SECONDS.observe(seconds)
        facts = {
            "group": group,
            "before_mib": before.used_bytes >> 20,
            "after_mib": after.used_bytes >> 20,
            "swapped_mib": after.swapped_bytes >> 20,
            "seconds": round(seconds, 3),
        }
        log.info("guest_reclaimed", extra=facts)
