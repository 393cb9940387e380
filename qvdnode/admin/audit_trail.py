"""Writes who changed what to the audit trail. A failed entry never undoes the change itself.

While the database is away, a VM can still be stopped. Entries then wait in a bounded queue and are
written in order once the database is back. Each is in the log at once.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from qvdnode.db.audit import Audit, AuditEntry
from qvdnode.model.errors import FarmError, Unavailable
from qvdnode.runtime.clock import Clock

log = logging.getLogger(__name__)

WAITING_MAX: Final = 10_000
RETRY_S: Final = 2.0


class AuditTrail:
    """Writes audit entries; `run` writes those that had to wait."""

    def __init__(self, audit: Audit, clock: Clock) -> None:
        self._audit = audit
        self._clock = clock
        self._waiting: deque[AuditEntry] = deque()
        self._wake = asyncio.Event()

    async def write(self, entries: Sequence[AuditEntry]) -> None:
        """Write the entries to the log at once, and to the database now or later."""
        for entry in entries:
            log.info("admin_change", extra={**_fields(entry), "detail": dict(entry.detail)})
            if self._waiting or not await self._written(entry):
                self._keep(replace(entry, at=self._clock.now()))

    async def run(self) -> None:
        """Write waiting entries until cancelled."""
        while True:
            await self._wake.wait()
            while self._waiting:
                if await self._written(self._waiting[0]):
                    self._waiting.popleft()
                else:
                    await self._clock.sleep(RETRY_S)
            self._wake.clear()

    async def _written(self, entry: AuditEntry) -> bool:
        """Return False to try again later; True when the entry is written or can never be."""
        try:
            await self._audit.write(entry)
        except Unavailable:
            return False
        except FarmError as error:
            because = {"because": str(error)}
            log.warning("audit_entry_not_written", extra={**_fields(entry), **because})
        return True

    def _keep(self, entry: AuditEntry) -> None:
        if len(self._waiting) >= WAITING_MAX:
            because = {"because": f"{WAITING_MAX} entries wait for the database already"}
            log.warning("audit_entry_not_written", extra={**_fields(entry), **because})
            return
        self._waiting.append(entry)
        self._wake.set()
        log.info("audit_entry_waits", extra=_fields(entry))


def _fields(entry: AuditEntry) -> dict[str, object]:
    return {"actor": entry.actor, "action": entry.action, "object": entry.object_id}
