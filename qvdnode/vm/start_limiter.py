"""Start slots: a limited number of VMs is brought up at once; the others queue in order."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from qvdnode.model.counting import counted, verb
from qvdnode.model.errors import NodeFull
from qvdnode.telemetry.metrics import Gauge

QUEUED = Gauge("qvdnode_vm_starts_queued", "VMs that wait for their turn to be brought up")
STARTING = Gauge("qvdnode_vm_starts_running", "VMs that are being brought up")


@dataclass(eq=False, slots=True)
class _Waiting:
    moved: Callable[[int], None]
    given: asyncio.Event = field(default_factory=asyncio.Event)


class StartLimiter:
    """Gives start slots, first come, first served."""

    def __init__(self, at_once: int, queue_max: int) -> None:
        self._free = at_once
        self._queue_max = queue_max
        self._queue: deque[_Waiting] = deque()

    @contextlib.asynccontextmanager
    async def slot(self, moved: Callable[[int], None]) -> AsyncIterator[None]:
        """Hold a start slot inside. `moved` is called with each place in the queue; 1 is next.

        Raises NodeFull when too many wait already.
        """
        if self._free and not self._queue:
            self._free -= 1
        else:
            await self._wait(moved)
        STARTING.inc()
        try:
            yield
        finally:
            STARTING.dec()
            self._pass_on()

    @property
    def queued(self) -> int:
        """How many wait."""
        return len(self._queue)

    @property
    def free(self) -> int:
        """How many slots can be taken at once."""
        return 0 if self._queue else self._free

    async def _wait(self, moved: Callable[[int], None]) -> None:
        if len(self._queue) >= self._queue_max:
            wait = f"{counted(self.queued, 'desktop')} {verb(self.queued, 'wait')}"
            raise NodeFull(f"This node is full: {wait} to be started.")
        mine = _Waiting(moved)
        self._queue.append(mine)
        QUEUED.set(len(self._queue))
        moved(len(self._queue))
        try:
            await mine.given.wait()
        except asyncio.CancelledError:
            if mine.given.is_set():
                # The slot was given and the wait was cancelled in the same tick of the loop.
                self._pass_on()
            else:
                self._queue.remove(mine)
                self._tell()
            raise

    def _pass_on(self) -> None:
        if self._queue:
            self._queue.popleft().given.set()
            self._tell()
        else:
            self._free += 1

    def _tell(self) -> None:
        QUEUED.set(len(self._queue))
        for place, waiting in enumerate(self._queue, start=1):
            waiting.moved(place)
