"""Tenants: groups of users, isolated from one another."""

from collections.abc import Iterable
from typing import Final

import asyncpg

from qvdnode.db.lists import ListSource, SortKey, name_key, read_list
from qvdnode.db.pool import Database
from qvdnode.db.rows import changed, found
from qvdnode.model.farm import Tenant
from qvdnode.model.ids import TenantId
from qvdnode.model.listing import Listing, Page

KIND: Final = "tenant"

CREATE: Final = "INSERT INTO tenant (name) VALUES ($1) RETURNING id, name, blocked, assistance"
GET: Final = "SELECT id, name, blocked, assistance FROM tenant WHERE id = $1"
BY_NAME: Final = "SELECT id, name, blocked, assistance FROM tenant WHERE name = $1"
LIST: Final = ListSource(
    columns="id, name, blocked, assistance",
    tables="tenant",
    id="id",
    searched=("name",),
    sorts={"name": name_key("name"), "created_at": SortKey("created_at", is_time=True)},
)
NAMES: Final = "SELECT id, name FROM tenant WHERE id = ANY($1::integer[])"
# users.py says what an epoch is for
SET_BLOCKED: Final = """
WITH ended AS (
    UPDATE app_user SET epoch = epoch + 1 WHERE tenant_id = $1 AND $2::boolean RETURNING id
), gone AS (
    DELETE FROM user_token WHERE user_id IN (SELECT id FROM ended)
)
UPDATE tenant SET blocked = $2 WHERE id = $1
"""
SET_ASSISTANCE: Final = "UPDATE tenant SET assistance = $2 WHERE id = $1"
DELETE: Final = "DELETE FROM tenant WHERE id = $1"


class Tenants:
    """The table of tenants."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def create(self, name: str) -> Tenant:
        """Make a tenant; raises Conflict when the name is taken."""
        row = await self._db.fetchrow(CREATE, name)
        return _convert(found(row, KIND, name))

    async def get(self, tenant_id: TenantId) -> Tenant:
        """One tenant; raises NotFound."""
        row = await self._db.fetchrow(GET, tenant_id, idempotent=True)
        return _convert(found(row, KIND, tenant_id))

    async def by_name(self, name: str) -> Tenant:
        """One tenant; raises NotFound."""
        row = await self._db.fetchrow(BY_NAME, name, idempotent=True)
        return _convert(found(row, KIND, name))

    async def list(
        self, page: Page, *, tenant_id: TenantId | None = None, name: str | None = None
    ) -> Listing[Tenant]:
        """One page of tenants."""
        filters = {"id = {}": tenant_id, "name = {}": name}
        return await read_list(self._db, LIST, page, filters, _convert)

    async def names(self, tenant_ids: Iterable[TenantId]) -> dict[TenantId, str]:
        """Return the names of these tenants."""
        rows = await self._db.fetch(NAMES, sorted(set(tenant_ids)), idempotent=True)
        return {TenantId(row["id"]): row["name"] for row in rows}

    async def set_blocked(self, tenant_id: TenantId, *, blocked: bool) -> None:
        """Block or unblock its users; to block ends their tokens. Raises NotFound."""
        tag = await self._db.execute(SET_BLOCKED, tenant_id, blocked, idempotent=True)
        changed(tag, KIND, tenant_id)

    async def set_assistance(self, tenant_id: TenantId, *, allowed: bool) -> None:
        """Let helpers ask its users, or not; raises NotFound."""
        tag = await self._db.execute(SET_ASSISTANCE, tenant_id, allowed, idempotent=True)
        changed(tag, KIND, tenant_id)

    async def delete(self, tenant_id: TenantId) -> None:
        """Delete an empty tenant; raises Conflict while it has users or flavours, NotFound."""
        changed(await self._db.execute(DELETE, tenant_id), KIND, tenant_id)


def _convert(row: asyncpg.Record) -> Tenant:
    return Tenant(TenantId(row["id"]), row["name"], row["blocked"], row["assistance"])
