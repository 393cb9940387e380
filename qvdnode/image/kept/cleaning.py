"""Deletes what desktops have kept once there are no such desktops any more."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final

from qvdnode.image.kept.disks import KeptDisks
from qvdnode.model.errors import FarmError
from qvdnode.model.ids import VmId
from qvdnode.runtime.clock import Clock

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 3_600.0

Existing = Callable[[Sequence[VmId]], Awaitable[Collection[VmId]]]
"""Returns those of some VMs that exist; raises Unavailable."""


class KeptCleaner:
    """One for the node; run `run` as a task."""

    def __init__(self, kept: KeptDisks, existing: Existing, clock: Clock) -> None:
        self._kept = kept
        self._existing = existing
        self._clock = clock

    async def run(self) -> None:
        """Clean every hour until cancelled; a failure is logged, and tried again."""
        while True:
            try:
                await self.clean()
            except FarmError as error:
                log.info("kept_overlays_not_cleaned", extra={"because": str(error)})
            await self._clock.sleep(LOOK_EVERY_S)

    async def clean(self) -> list[VmId]:
        """Delete what belongs to no VM; returns whose it was. Raises Unavailable, HostFailed."""
        there = list(await asyncio.to_thread(self._kept.all))
        if not there:
            return []
        gone = sorted(set(there) - set(await self._existing(there)))
        for vm_id in gone:
            await asyncio.to_thread(self._kept.remove, vm_id)
            log.info("kept_overlay_removed", extra={"vm": vm_id})
        return gone
