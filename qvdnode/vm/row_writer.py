"""Writes a VM's state to its row behind the actor's back, so that a desktop never waits for it.

Only the newest state counts. While the database is away it waits here and is written later.
"""

# tested-by: tests/unit/vm/test_fleet.py

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from qvdnode.model.errors import FarmError, LeaseLost, Unavailable
from qvdnode.model.ids import Generation, VmId
from qvdnode.model.vm_state import VmState
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.supervise import contained
from qvdnode.vm.ports import VmStore

log = logging.getLogger(__name__)

PAUSE_MAX_S = 30.0


@dataclass(frozen=True, slots=True)
class _Wanted:
    generation: Generation
    state: VmState
    error: str | None
    release: bool


class RowWriter:
    """One VM's row; `run` is a task of its actor."""

    def __init__(
        self,
        store: VmStore,
        vm_id: VmId,
        clock: Clock,
        *,
        retry_s: float,
        lease_lost: Callable[[Generation], None],
        written: Callable[[], None],
    ) -> None:
        self._store = store
        self._vm_id = vm_id
        self._clock = clock
        self._retry_s = retry_s
        self._lease_lost = lease_lost
        self._written = written
        self._wanted: _Wanted | None = None
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()

    def record(self, generation: Generation, state: VmState) -> None:
        """Write that state soon."""
        self._want(_Wanted(generation, state, None, release=False))

    def release(self, generation: Generation, state: VmState, *, error: str | None) -> None:
        """Give the row up soon, with its final state."""
        self._want(_Wanted(generation, state, error, release=True))

    @property
    def idle(self) -> bool:
        """Whether everything is written."""
        return self._wanted is None

    async def flush(self) -> None:
        """Return once everything is written; raises Unavailable when it cannot be now."""
        if not await self._write():
            raise Unavailable(
                "The farm's database is away, so no desktop can be started now; try again soon."
            )

    async def run(self) -> None:
        """Write what is wanted, for ever."""
        pause_s = self._retry_s
        while True:
            await self._wake.wait()
            self._wake.clear()
            if await self._write():
                pause_s = self._retry_s
                continue
            await self._clock.sleep(pause_s)
            self._wake.set()
            pause_s = min(PAUSE_MAX_S, 2 * pause_s)

    def _want(self, wanted: _Wanted) -> None:
        self._wanted = wanted
        self._wake.set()

    async def _write(self) -> bool:
        async with self._writing:
            while (wanted := self._wanted) is not None:
                with contained("row_not_written", vm=self._vm_id) as attempt:
                    if not await self._try(wanted):
                        return False
                if attempt.failed:
                    return False
                if self._wanted is wanted:
                    self._wanted = None
                    self._written()
            return True

    async def _try(self, wanted: _Wanted) -> bool:
        try:
            await self._put(wanted)
        except Unavailable:
            return False
        except LeaseLost:
            self._lease_lost(wanted.generation)
        except FarmError as error:
            log.warning("row_not_written", extra={"vm": self._vm_id, "because": str(error)})
        return True

    async def _put(self, wanted: _Wanted) -> None:
        if wanted.release:
            await self._store.release(
                self._vm_id, wanted.generation, wanted.state, error=wanted.error
            )
        else:
            await self._store.record(self._vm_id, wanted.generation, wanted.state)
