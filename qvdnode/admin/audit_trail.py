"""Writes who changed what. A change that is made stays made: the trail never undoes it."""

# tested-by: tests/integration/admin/routes/test_audit.py

import logging
from collections.abc import Sequence
from typing import Final

from qvdnode.admin.endpoint import Change
from qvdnode.db.audit import Audit, AuditEntry
from qvdnode.model.errors import FarmError
from qvdnode.model.principal import Operator
from qvdnode.telemetry.correlation import correlation_id

log = logging.getLogger(__name__)

NOBODY: Final = "-"


async def write_changes(
    audit: Audit, action: str | None, operator: Operator | None, changes: Sequence[Change]
) -> None:
    """Write one entry per change, to the log and to the database.

    With the database away (a client can still be disconnected then) the log keeps the record.
    """
    for change in changes:
        entry = AuditEntry(
            actor=NOBODY if operator is None else operator.name,
            action=action or "",
            object_kind=change.kind,
            object_id=change.id,
            detail=dict(change.detail),
            correlation=correlation_id.get(),
        )
        fields = {"actor": entry.actor, "action": entry.action, "object": change.id}
        log.info("admin_change", extra={**fields, "detail": dict(change.detail)})
        try:
            await audit.write(entry)
        except FarmError as error:
            log.warning("audit_entry_not_written", extra={**fields, "because": str(error)})
