"""The audit trail: who changed what. Entries are only ever added."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

import asyncpg

from qvdnode.db.lists import ListSource, read_list
from qvdnode.db.pool import Database
from qvdnode.model.listing import Listing, Page

WRITE: Final = """
INSERT INTO audit (actor, action, object_kind, object_id, detail, correlation, at)
VALUES ($1, $2, $3, $4, $5::jsonb, $6, coalesce($7, now()))
"""
LIST: Final = ListSource(
    columns="id, at, actor, action, object_kind, object_id, detail, correlation",
    tables="audit",
    id="id",
    searched=("actor",),
)


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
    ) -> Listing[AuditRecord]:
        """One page of changes."""
        filters = {
            "actor = {}": actor,
            "object_kind = {}": object_kind,
            "object_id = {}": object_id,
        }
        return await read_list(self._db, LIST, page, filters, _convert)


def _convert(row: asyncpg.Record) -> AuditRecord:
    values = {item.name: row[item.name] for item in fields(AuditRecord)}
    return AuditRecord(**{**values, "detail": json.loads(row["detail"])})
