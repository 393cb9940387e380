"""Start slots: lets bring-ups wait for their turn; core/start_queue.py says whose it is."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from qvdnode.telemetry.metrics import Gauge
from qvdnode.vm.core.start_queue import StartQueue

QUEUED = Gauge("qvdnode_vm_starts_queued", "VMs that wait for a start slot")
STARTING = Gauge("qvdnode_vm_starts_running", "VMs that are being brought up")


@dataclass(frozen=True, slots=True)
class _Waiting:
    moved: Callable[[int], None]
    given: asyncio.Event = field(default_factory=asyncio.Event)


class StartLimiter:
    """Gives start slots, first come, first served."""

    def __init__(self, at_once: int, queue_max: int) -> None:
        self._queue = StartQueue(at_once, queue_max)
        self._waiting: dict[int, _Waiting] = {}

    @contextlib.asynccontextmanager
    async def slot(self, moved: Callable[[int], None]) -> AsyncIterator[None]:
        """Hold a start slot inside. `moved` is called with each place in the queue; 1 is next.

        Raises NodeFull when too many wait already.
        """
        ticket = self._queue.enter()
        try:
            if ticket not in self._queue.holders:
                await self._wait(ticket, moved)
            with STARTING.track_inprogress():
                yield
        finally:
            # A wait that was cancelled may have got its slot in the same iteration of the loop.
            self._leave(ticket)

    def resize(self, at_once: int) -> None:
        """Have so many slots from now on; starts that have one keep it."""
        following = self._queue.resize(at_once)
        for ticket in following:
            self._waiting[ticket].given.set()
        if following:
            self._tell_places()

    @property
    def at_once(self) -> int:
        """How many slots there are."""
        return self._queue.at_once

    @property
    def queued(self) -> int:
        """How many wait."""
        return len(self._queue.waiting)

    @property
    def free(self) -> int:
        """How many slots can be taken at once."""
        return self._queue.free

    async def _wait(self, ticket: int, moved: Callable[[int], None]) -> None:
        waiting = self._waiting[ticket] = _Waiting(moved)
        QUEUED.set(self.queued)
        moved(self.queued)
        await waiting.given.wait()

    def _leave(self, ticket: int) -> None:
        waited = ticket in self._queue.waiting
        following = self._queue.leave(ticket)
        self._waiting.pop(ticket, None)
        if following is not None:
            self._waiting[following].given.set()
        if waited or following is not None:
            self._tell_places()

    def _tell_places(self) -> None:
        QUEUED.set(self.queued)
        for place, ticket in enumerate(self._queue.waiting, start=1):
            self._waiting[ticket].moved(place)
