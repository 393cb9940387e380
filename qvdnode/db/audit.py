"""The audit trail: who changed what. Entries are only ever added."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import asyncpg

from qvdnode.db.paging import limit_of, listing
from qvdnode.db.pool import Database
from qvdnode.model.listing import Listing, Page

WRITE: Final = """
INSERT INTO audit (actor, action, object_kind, object_id, detail, correlation, at)
VALUES ($1, $2, $3, $4, $5::jsonb, $6, coalesce($7, now()))
"""
LIST: Final = """
SELECT id, at, actor, action, object_kind, object_id, detail, correlation
FROM audit
WHERE {after}
  AND ($3::text IS NULL OR actor = $3)
  AND ($4::text IS NULL OR object_kind = $4)
  AND ($5::text IS NULL OR object_id = $5)
ORDER BY {order} LIMIT $2
"""
OLDEST_FIRST: Final = LIST.format(after="id > $1::bigint", order="id")
NEWEST_FIRST: Final = LIST.format(after="($1::bigint = 0 OR id < $1)", order="id DESC")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change, as it is made."""

    actor: str
    action: str
    object_kind: str
    object_id: str | None
    detail: Mapping[str, Any]
    correlation: str
    at: datetime | None = None
    """When it was made, by the clock of its node; without it, now by the database's."""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One change, as it is kept."""

    id: int
    at: datetime
    actor: str
    action: str
    object_kind: str
    object_id: str | None
    detail: Mapping[str, Any]
    correlation: str


class Audit:
    """The table of changes."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def write(self, entry: AuditEntry) -> None:
        """Add an entry."""
        await self._db.execute(
            WRITE,
            entry.actor,
            entry.action,
            entry.object_kind,
            entry.object_id,
            json.dumps(dict(entry.detail), default=str),
            entry.correlation,
            entry.at,
        )

    async def list(
        self,
        page: Page,
        *,
        actor: str | None = None,
        object_kind: str | None = None,
        object_id: str | None = None,
        newest: bool = False,
    ) -> Listing[AuditRecord]:
        """One page of changes, oldest first, or newest first going back from `page.after`."""
        statement = NEWEST_FIRST if newest else OLDEST_FIRST
        rows = await self._db.fetch(
            statement, page.after, limit_of(page), actor, object_kind, object_id, idempotent=True
        )
        return listing(rows, page, _convert)


def _convert(row: asyncpg.Record) -> AuditRecord:
    return AuditRecord(**{**dict(row), "detail": json.loads(row["detail"])})
