"""Collects the store of a running node: after its start, and when something was removed."""

import asyncio
import logging

from qvdnode.image.store.collection import GRACE_S
from qvdnode.image.versions import ImageVersions
from qvdnode.model.errors import FarmError
from qvdnode.runtime.clock import Clock

log = logging.getLogger(__name__)


class StoreCollector:
    """One for the node."""

    def __init__(self, versions: ImageVersions, clock: Clock) -> None:
        self._versions = versions
        self._clock = clock
        self._wanted = asyncio.Event()

    def request(self) -> None:
        """Say that something was removed."""
        self._wanted.set()

    async def run(self) -> None:
        """Collect for ever; what cannot be collected is logged, and tried again."""
        while True:
            self._wanted.clear()
            try:
                found = await asyncio.to_thread(self._versions.collect)
            except FarmError as error:
                log.warning("store_not_collected", extra={"because": str(error)})
                await self._clock.sleep(GRACE_S)
                continue
            if found.objects or found.deleted:
                log.info(
                    "store_collected",
                    extra={
                        "commits": found.commits,
                        "quarantined_bytes": found.object_bytes,
                        "deleted_bytes": found.deleted_bytes,
                    },
                )
            if found.objects or found.waiting:
                await self._clock.sleep(GRACE_S + 1)
            else:
                await self._wanted.wait()
