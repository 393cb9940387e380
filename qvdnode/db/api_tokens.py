"""API tokens of administrators and their programs. Rows hold only digests."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final

import asyncpg

from qvdnode.db.lists import ListSource, SortKey, name_key, read_list
from qvdnode.db.pool import Database
from qvdnode.db.rows import changed
from qvdnode.model.errors import NotFound
from qvdnode.model.ids import TenantId
from qvdnode.model.listing import Listing, Page
from qvdnode.model.principal import Operator
from qvdnode.model.role import Role

# the tenant is read in the same statement: an unknown one gives no row, and no foreign key error
ADD: Final = """
INSERT INTO api_token (name, digest, role, tenant_id) SELECT $1, $2, $3, $4
WHERE $4::integer IS NULL OR EXISTS (SELECT FROM tenant WHERE id = $4)
RETURNING id
"""
OPERATOR: Final = "SELECT id, name, role, tenant_id FROM api_token WHERE digest = $1"
LIST: Final = ListSource(
    columns="k.id, k.name, k.role, k.tenant_id, t.name AS tenant, k.created_at",
    tables="api_token k LEFT JOIN tenant t ON t.id = k.tenant_id",
    id="k.id",
    searched=("k.name",),
    sorts={"name": name_key("k.name"), "created_at": SortKey("k.created_at", is_time=True)},
)
DELETE: Final = "DELETE FROM api_token WHERE id = $1"


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token without its secret."""

    id: int
    name: str
    role: Role
    tenant_id: TenantId | None
    tenant: str | None
    created_at: datetime


class ApiTokens:
    """The table of API tokens."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(
        self,
        name: str,
        token_digest: bytes,
        role: Role = Role.ADMIN,
        tenant_id: TenantId | None = None,
    ) -> int:
        """Store a token's digest and return its id.

        Raises Conflict when the name is taken, NotFound for the tenant.
        """
        token_id = await self._db.fetchval(ADD, name, token_digest, role, tenant_id)
        if token_id is None:
            raise NotFound(f"There is no tenant {tenant_id}.")
        return int(token_id)

    async def operator(self, token_digest: bytes) -> Operator | None:
        """Return a token's owner; None for an unknown token."""
        row = await self._db.fetchrow(OPERATOR, token_digest, idempotent=True)
        return None if row is None else operator_of(row)

    async def list(self, page: Page) -> Listing[ApiToken]:
        """One page of tokens."""
        return await read_list(self._db, LIST, page, {}, _convert)

    async def delete(self, token_id: int) -> None:
        """Delete a token; raises NotFound."""
        changed(await self._db.execute(DELETE, token_id), "token", token_id)


def _convert(row: asyncpg.Record) -> ApiToken:
    values = {item.name: row[item.name] for item in fields(ApiToken)}
    return ApiToken(**{**values, "role": Role(values["role"])})


def operator_of(row: asyncpg.Record) -> Operator:
    """The owner of a token, of a row with its id, name, role and tenant_id."""
    return Operator(row["name"], row["id"], Role(row["role"]), row["tenant_id"])
