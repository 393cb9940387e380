"""Writes a VM's state to its row in the background, so that a desktop never waits for it.

Only the newest write counts. While the database is away it waits here and is made later.
"""

import asyncio
import logging
from collections.abc import Callable

from qvdnode.model import errors
from qvdnode.model.errors import FarmError, Unavailable
from qvdnode.model.ids import VmId
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.supervise import contained
from qvdnode.vm.core.effects import Record, Release
from qvdnode.vm.core.messages import LeaseLost, RowWritten
from qvdnode.vm.ports import VmStore

log = logging.getLogger(__name__)

PAUSE_MAX_S = 30.0


class RowWriter:
    """One VM's row; `run` is a task of its actor."""

    def __init__(
        self,
        store: VmStore,
        vm_id: VmId,
        clock: Clock,
        *,
        retry_s: float,
        post: Callable[[LeaseLost | RowWritten], None],
    ) -> None:
        self._store = store
        self._vm_id = vm_id
        self._clock = clock
        self._retry_s = retry_s
        self._post = post
        self._wanted: Record | Release | None = None
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()

    def write(self, wanted: Record | Release) -> None:
        """Write that soon, in place of what was not written yet."""
        self._wanted = wanted
        self._wake.set()

    async def flush(self) -> None:
        """Return once everything is written; raises Unavailable when it cannot be now."""
        if not await self._write():
            raise Unavailable(
                "The farm's database is away, so no desktop can be started now; try again soon."
            )

    async def run(self) -> None:
        """Write what is wanted, for ever; after a failure with growing pauses."""
        pause_s = self._retry_s
        while True:
            await self._wake.wait()
            # Cleared before the write: what is asked for during it sets the event again.
            self._wake.clear()
            if await self._write():
                pause_s = self._retry_s
                continue
            await self._clock.sleep(pause_s)
            self._wake.set()
            pause_s = min(PAUSE_MAX_S, 2 * pause_s)

    async def _write(self) -> bool:
        async with self._writing:
            # A newer write may come while this one is under way; then the loop makes that, too.
            while (wanted := self._wanted) is not None:
                with contained("row_not_written", vm=self._vm_id) as attempt:
                    if not await self._try(wanted):
                        return False
                if attempt.failed:
                    return False
                if self._wanted is wanted:
                    self._wanted = None
                    self._post(RowWritten(wanted.write))
            return True

    async def _try(self, wanted: Record | Release) -> bool:
        try:
            await self._put(wanted)
        except Unavailable:
            return False
        except errors.LeaseLost:
            # The row belongs to another start by now, so there is nothing to retry.
            self._post(LeaseLost(wanted.generation))
        except FarmError as error:
            log.warning("row_not_written", extra={"vm": self._vm_id, "because": str(error)})
        return True

    async def _put(self, wanted: Record | Release) -> None:
        if isinstance(wanted, Release):
            await self._store.release(
                self._vm_id, wanted.generation, wanted.state, error=wanted.error
            )
        else:
            await self._store.record(self._vm_id, wanted.generation, wanted.state)
