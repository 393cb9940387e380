"""Writes session rows in the background: a user never waits for them.

While the database is away the entries wait here, in order and bounded, and are written when it is
back; what does not fit is dropped with a log line, since a record is worth less than a desktop.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from qvdnode.model.errors import FarmError, Unavailable
from qvdnode.model.ids import NodeId, UserId, VmId
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.time_limit import TimeLimit

log = logging.getLogger(__name__)

WAITING_MAX: Final = 10_000
RETRY_S: Final = 2.0


class SessionRows(Protocol):
    """The table of sessions, as far as the journal needs it."""

    async def opened(
        self, vm_id: VmId, user_id: UserId, node_id: NodeId, *, source: str, client: str | None
    ) -> int:
        """Write that a client was attached; the row's id."""
        ...

    async def closed(self, session_id: int, *, reason: str, bytes_in: int, bytes_out: int) -> None:
        """Write that it ended, and why."""
        ...


@dataclass(frozen=True, slots=True)
class Opened:
    """A client was attached to a display."""

    key: int
    vm_id: VmId
    user_id: UserId
    source: str
    client: str | None


@dataclass(frozen=True, slots=True)
class Closed:
    """The client's stream ended."""

    key: int
    reason: str
    bytes_in: int
    bytes_out: int


class SessionJournal:
    """Takes entries at once, writes them one after another in its own task."""

    def __init__(
        self, rows: SessionRows, node_id: Callable[[], NodeId | None], clock: Clock
    ) -> None:
        self._rows = rows
        self._node_id = node_id
        self._clock = clock
        self._waiting: deque[Opened | Closed] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._ids: dict[int, int] = {}
        self._next_key = 0

    def open(self, vm_id: VmId, user_id: UserId, *, source: str, client: str | None) -> int:
        """Note that a client was attached; the key to close it with."""
        self._next_key += 1
        self._put(Opened(self._next_key, vm_id, user_id, source, client))
        return self._next_key

    def close(self, key: int, *, reason: str, bytes_in: int, bytes_out: int) -> None:
        """Note that the stream of that key ended."""
        self._put(Closed(key, reason, bytes_in, bytes_out))

    async def flushed(self, limit_s: float) -> None:
        """Return when nothing waits any more, or after the limit."""
        try:
            async with TimeLimit(limit_s):
                await self._idle.wait()
        except TimeoutError:
            log.warning("session_rows_not_written", extra={"entries": len(self._waiting)})

    async def run(self) -> None:
        """Write what waits, for ever."""
        while True:
            await self._wake.wait()
            while self._waiting:
                if await self._write(self._waiting[0]):
                    self._waiting.popleft()
                else:
                    await self._clock.sleep(RETRY_S)
            self._wake.clear()
            self._idle.set()

    def _put(self, entry: Opened | Closed) -> None:
        if len(self._waiting) >= WAITING_MAX:
            log.warning("session_journal_full", extra={"entries": WAITING_MAX})
            return
        self._waiting.append(entry)
        self._idle.clear()
        self._wake.set()

    async def _write(self, entry: Opened | Closed) -> bool:
        node_id = self._node_id()
        if node_id is None:
            return False
        try:
            match entry:
                case Opened():
                    self._ids[entry.key] = await self._rows.opened(
                        entry.vm_id,
                        entry.user_id,
                        node_id,
                        source=entry.source,
                        client=entry.client,
                    )
                case Closed():
                    row = self._ids.get(entry.key)
                    if row is not None:
                        await self._rows.closed(
                            row,
                            reason=entry.reason,
                            bytes_in=entry.bytes_in,
                            bytes_out=entry.bytes_out,
                        )
                    self._ids.pop(entry.key, None)
        except Unavailable:
            return False
        except FarmError as error:
            log.warning("session_row_refused", extra={"because": str(error)})
        return True
