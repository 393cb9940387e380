"""Writes session rows in the background: a user never waits for them.

While the database is away the entries wait here, in order and bounded, and are written when it is
back; what does not fit is dropped with a log line, since a record is worth less than a desktop.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from qvdnode.model.errors import FarmError, Unavailable
from qvdnode.model.ids import NodeId, UserId, VmId
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.session.core.backlog import Backlog, Closed, Entry, Opened

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


class SessionJournal:
    """Takes entries at once, writes them one after another in its own task."""

    def __init__(
        self, rows: SessionRows, node_id: Callable[[], NodeId | None], clock: Clock
    ) -> None:
        self._rows = rows
        self._node_id = node_id
        self._clock = clock
        self._backlog = Backlog(WAITING_MAX)
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
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
            left = len(self._backlog.waiting)
            log.warning("session_rows_not_written", extra={"entries": left})

    async def run(self) -> None:
        """Write what waits, for ever."""
        while True:
            await self._wake.wait()
            while (entry := self._backlog.next()) is not None:
                if not await self._write(entry):
                    await self._clock.sleep(RETRY_S)
            self._wake.clear()
            self._idle.set()

    def _put(self, entry: Entry) -> None:
        if not self._backlog.add(entry):
            log.warning("session_journal_full", extra={"entries": WAITING_MAX})
            return
        self._idle.clear()
        self._wake.set()

    async def _write(self, entry: Opened | tuple[Closed, int]) -> bool:
        """Write one entry; False if it cannot be written now."""
        node_id = self._node_id()
        if node_id is None:
            return False
        row: int | None = None
        try:
            match entry:
                case Opened():
                    row = await self._rows.opened(
                        entry.vm_id,
                        entry.user_id,
                        node_id,
                        source=entry.source,
                        client=entry.client,
                    )
                case (end, opened):
                    await self._rows.closed(
                        opened,
                        reason=end.reason,
                        bytes_in=end.bytes_in,
                        bytes_out=end.bytes_out,
                    )
        except Unavailable:
            return False
        except FarmError as error:
            log.warning("session_row_refused", extra={"because": str(error)})
        self._backlog.done(row)
        return True
