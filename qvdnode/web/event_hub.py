"""Tells readers of the farm's changes: one listener to the database, any number of readers.

A reader that is too slow loses its backlog and is told so, instead of taking memory.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from qvdnode.model.change import Change
from qvdnode.model.errors import Unavailable
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.telemetry.metrics import Gauge
from qvdnode.web.core.event_log import EventLog, NumberedChange
from qvdnode.web.ports import ChangeSource

log = logging.getLogger(__name__)

READERS = Gauge("qvdnode_event_readers", "Streams of events that are open")

WAITING_MAX: Final = 500
"""Changes that wait for one reader."""
LINGER_S: Final = 60.0
"""How long the database is listened to after the last reader left, since it may come back."""
READY_S: Final = 2.0
"""How long a reader waits until the database is listened to."""
AGAIN_S: Final = 1.0
BEHIND: Final = "There were too many changes at once."
UNKNOWN: Final = "The changes since then are not known any more."
AWAY: Final = "The database was not listened to for a while."
STOPPING: Final = "The node stops."


class ReaderQueue:
    """What waits for one reader."""

    def __init__(self) -> None:
        self._waiting: deque[NumberedChange] = deque()
        self._wake = asyncio.Event()
        self._lost: str | None = None
        self.ended: str | None = None
        """Why nothing more comes."""

    def put(self, change: NumberedChange) -> None:
        """Add a change; with too many of them, all are dropped."""
        if len(self._waiting) >= WAITING_MAX:
            self.drop(BEHIND)
        if self._lost is None:
            self._waiting.append(change)
        self._wake.set()

    def drop(self, because: str) -> None:
        """Drop what waits, and what comes until the next `take`."""
        self._waiting.clear()
        self._lost = because
        self._wake.set()

    def end(self, because: str) -> None:
        """Let nothing more come."""
        self.ended = because
        self._wake.set()

    async def wait(self, seconds: float) -> None:
        """Return when there is something to take, or after that time."""
        with contextlib.suppress(TimeoutError):
            async with TimeLimit(seconds):
                await self._wake.wait()

    def take(self) -> tuple[str | None, list[NumberedChange]]:
        """Return why changes were lost, if they were, and the changes that wait."""
        lost, self._lost = self._lost, None
        changes = list(self._waiting)
        self._waiting.clear()
        if self.ended is None:
            self._wake.clear()
        return lost, changes


class EventHub:
    """Passes changes on to all readers, and keeps the last ones for those who come back."""

    def __init__(self, name: str, source: ChangeSource, clock: Clock) -> None:
        """`name` must be new with each process."""
        self.log = EventLog(name)
        self._source = source
        self.clock = clock
        self._readers: set[ReaderQueue] = set()
        self._wanted = asyncio.Event()
        self._unwanted_since_s = 0.0
        self._listening = asyncio.Event()
        self._stopping = False

    @contextlib.asynccontextmanager
    async def reading(self, last_id: str | None) -> AsyncIterator[ReaderQueue]:
        """Open a queue of changes, with those after `last_id` if it is given."""
        queue = ReaderQueue()
        self._readers.add(queue)
        self._wanted.set()
        READERS.set(len(self._readers))
        try:
            await self._until_listening()
            queue.take()
            missed = [] if last_id is None else self.log.after(last_id)
            if missed is None:
                queue.drop(UNKNOWN)
            for change in missed or ():
                queue.put(change)
            if self._stopping:
                queue.end(STOPPING)
            yield queue
        finally:
            self._readers.discard(queue)
            READERS.set(len(self._readers))
            self._unwanted_since_s = self.clock.monotonic_s()

    def end_all(self) -> None:
        """End all streams, because the node stops."""
        self._stopping = True
        for queue in self._readers:
            queue.end(STOPPING)

    async def run(self) -> None:
        """Listen while there are readers, until cancelled."""
        while True:
            await self._wanted.wait()
            try:
                await self._source.listen(self)
            except Unavailable as error:
                log.info("events_not_heard", extra={"because": str(error)})
                await self.clock.sleep(AGAIN_S)
            finally:
                self._listening.clear()
                self.log.forget()
            if not self._readers:
                self._wanted.clear()

    def begun(self) -> None:
        """As ChangeSink; whoever reads already may have missed something."""
        self._listening.set()
        for queue in self._readers:
            queue.drop(AWAY)

    def deliver(self, change: Change) -> None:
        """As ChangeSink."""
        numbered = self.log.add(change)
        for queue in self._readers:
            queue.put(numbered)

    def is_wanted(self) -> bool:
        """As ChangeSink."""
        left_s = self.clock.monotonic_s() - self._unwanted_since_s
        return bool(self._readers) or left_s < LINGER_S

    async def _until_listening(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with TimeLimit(READY_S):
                await self._listening.wait()
