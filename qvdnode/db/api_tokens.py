"""API tokens of administrators and their programs. Rows hold only digests."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from qvdnode.db.lists import ListSource, SortKey, name_key, read_list
from qvdnode.db.pool import Database
from qvdnode.db.rows import changed
from qvdnode.model.listing import Listing, Page
from qvdnode.model.principal import Operator

ADD: Final = "INSERT INTO api_token (name, digest) VALUES ($1, $2) RETURNING id"
OPERATOR: Final = "SELECT id, name FROM api_token WHERE digest = $1"
LIST: Final = ListSource(
    columns="id, name, created_at",
    tables="api_token",
    id="id",
    searched=("name",),
    sorts={"name": name_key("name"), "created_at": SortKey("created_at", is_time=True)},
)
DELETE: Final = "DELETE FROM api_token WHERE id = $1"


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token without its secret."""

    id: int
    name: str
    created_at: datetime


class ApiTokens:
    """The table of API tokens."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(self, name: str, token_digest: bytes) -> int:
        """Store a token's digest and return its id; raises Conflict when the name is taken."""
        return int(await self._db.fetchval(ADD, name, token_digest))

    async def operator(self, token_digest: bytes) -> Operator | None:
        """Return a token's owner; None for an unknown token."""
        row = await self._db.fetchrow(OPERATOR, token_digest, idempotent=True)
        return None if row is None else Operator(name=row["name"], token_id=row["id"])

    async def list(self, page: Page) -> Listing[ApiToken]:
        """One page of tokens."""
        return await read_list(self._db, LIST, page, {}, _convert)

    async def delete(self, token_id: int) -> None:
        """Delete a token; raises NotFound."""
        changed(await self._db.execute(DELETE, token_id), "token", token_id)


def _convert(row: asyncpg.Record) -> ApiToken:
    return ApiToken(id=row["id"], name=row["name"], created_at=row["created_at"])
