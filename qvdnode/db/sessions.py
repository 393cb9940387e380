"""Sessions: who was attached to which display, from where, for how long."""

from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Final

import asyncpg

from qvdnode.db.lists import ListSource, SortKey, read_list
from qvdnode.db.pool import Database
from qvdnode.db.rows import row_count
from qvdnode.model.ids import NodeId, TenantId, UserId, VmId
from qvdnode.model.listing import Listing, Page

OPENED: Final = """
INSERT INTO session (vm_id, user_id, node_id, source, client) VALUES ($1, $2, $3, $4, $5)
RETURNING id
"""
CLOSED: Final = """
UPDATE session SET closed_at = clock_timestamp(), reason = $2, bytes_in = $3, bytes_out = $4
WHERE id = $1 AND closed_at IS NULL
"""
CLOSE_STALE: Final = """
UPDATE session SET closed_at = clock_timestamp(), reason = 'the node ended'
WHERE node_id = $1 AND closed_at IS NULL
"""
# VM, user, tenant or node may be deleted by now: then the name is null
LIST: Final = ListSource(
    columns="""
s.id, s.vm_id, v.name AS vm, s.user_id, u.login AS user, t.name AS tenant, s.node_id,
n.name AS node, s.source, s.client, s.opened_at, s.closed_at, s.reason, s.bytes_in, s.bytes_out
""",
    tables="""
session s
    LEFT JOIN vm v ON v.id = s.vm_id
    LEFT JOIN app_user u ON u.id = s.user_id
    LEFT JOIN tenant t ON t.id = u.tenant_id
    LEFT JOIN node n ON n.id = s.node_id
""",
    id="s.id",
    searched=("u.login",),
    sorts={"opened_at": SortKey("s.opened_at", is_time=True)},
)
OPEN: Final = replace(LIST, condition="s.closed_at IS NULL")


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One client attached to one display; open while `closed_at` is None.

    The names are None once the thing is deleted.
    """

    id: int
    vm_id: VmId
    vm: str | None
    user_id: UserId
    user: str | None
    tenant: str | None
    node_id: NodeId
    node: str | None
    source: str
    client: str | None
    opened_at: datetime
    closed_at: datetime | None
    reason: str | None
    bytes_in: int
    bytes_out: int


class Sessions:
    """The table of sessions."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def opened(
        self, vm_id: VmId, user_id: UserId, node_id: NodeId, *, source: str, client: str | None
    ) -> int:
        """Record that a client was attached; returns the row's id."""
        return int(await self._db.fetchval(OPENED, vm_id, user_id, node_id, source, client))

    async def closed(self, session_id: int, *, reason: str, bytes_in: int, bytes_out: int) -> None:
        """Record the end and its reason; a second call changes nothing."""
        await self._db.execute(CLOSED, session_id, reason, bytes_in, bytes_out, idempotent=True)

    async def close_stale(self, node_id: NodeId) -> int:
        """Close sessions that an earlier process of this node left open; returns their number."""
        return row_count(await self._db.execute(CLOSE_STALE, node_id, idempotent=True))

    async def list(
        self,
        page: Page,
        *,
        vm_id: VmId | None = None,
        user_id: UserId | None = None,
        tenant_id: TenantId | None = None,
        open_only: bool = False,
    ) -> Listing[SessionRecord]:
        """One page of sessions."""
        filters = {
            "s.vm_id = {}": vm_id,
            "s.user_id = {}": user_id,
            "u.tenant_id = {}": tenant_id,
        }
        return await read_list(self._db, OPEN if open_only else LIST, page, filters, _convert)


def _convert(row: asyncpg.Record) -> SessionRecord:
    return SessionRecord(**{item.name: row[item.name] for item in fields(SessionRecord)})
