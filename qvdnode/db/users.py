"""Users and their credentials. Only `credentials` returns password hashes."""

from collections.abc import Iterable
from typing import Final

import asyncpg

from qvdnode.db.lists import ListSource, SortKey, name_key, read_list
from qvdnode.db.pool import Database
from qvdnode.db.rows import changed, found, row_count
from qvdnode.model.errors import Conflict
from qvdnode.model.farm import User
from qvdnode.model.ids import NodeId, TenantId, UserId
from qvdnode.model.listing import Listing, Page
from qvdnode.model.principal import Credentials, Principal

KIND: Final = "user"

# the tenant is read in the same statement: an unknown one gives no row, and no foreign key error
CREATE: Final = """
INSERT INTO app_user (tenant_id, login, password_hash)
SELECT t.id, $2, $3 FROM tenant t WHERE t.id = $1
RETURNING id
"""
COLUMNS: Final = (
    "u.id, u.tenant_id, t.name AS tenant, u.login, u.blocked, u.created_at, u.home_node"
)
TABLES: Final = "app_user u JOIN tenant t ON t.id = u.tenant_id"
GET: Final = f"SELECT {COLUMNS} FROM {TABLES} WHERE u.id = $1"
LIST: Final = ListSource(
    columns=COLUMNS,
    tables=TABLES,
    id="u.id",
    searched=("u.login",),
    sorts={
        "login": name_key("u.login"),
        "tenant": name_key("t.name"),
        "created_at": SortKey("u.created_at", is_time=True),
    },
)
# The new epoch invalidates all tokens, including one that is being issued concurrently. To delete
# their rows is only clean-up.
SET_BLOCKED: Final = """
WITH gone AS (DELETE FROM user_token WHERE user_id = $1 AND $2::boolean)
UPDATE app_user SET blocked = $2, epoch = epoch + $2::boolean::integer WHERE id = $1
"""
# tokens may belong to somebody who knew the old password
SET_PASSWORD_HASH: Final = """
WITH gone AS (DELETE FROM user_token WHERE user_id = $1)
UPDATE app_user SET password_hash = $2, epoch = epoch + 1 WHERE id = $1
"""
REVOKE_TOKENS: Final = """
WITH gone AS (DELETE FROM user_token WHERE user_id = $1)
UPDATE app_user SET epoch = epoch + 1 WHERE id = $1
"""
# a VM that runs uses the home where it is
SET_HOME_NODE: Final = """
UPDATE app_user u SET home_node = $2
WHERE id = $1 AND NOT EXISTS (
    SELECT 1 FROM vm WHERE vm.user_id = u.id AND vm.owner_node IS NOT NULL
)
"""
CLAIM_HOMES: Final = """
UPDATE app_user SET home_node = $1 WHERE id = ANY($2::integer[]) AND home_node IS NULL
"""
DELETE: Final = "DELETE FROM app_user WHERE id = $1"
CREDENTIALS: Final = """
SELECT u.id, u.tenant_id, u.login, t.name AS tenant, u.password_hash, u.epoch,
       u.blocked OR t.blocked AS blocked
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (login, tenant, place)
JOIN tenant t ON t.name = asked.tenant
JOIN app_user u ON u.tenant_id = t.id AND u.login = asked.login
ORDER BY asked.place LIMIT 1
"""


class Users:
    """The table of users."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def create(self, tenant_id: TenantId, login: str, password_hash: str) -> User:
        """Make a user; raises NotFound for the tenant, Conflict when the login is taken."""
        row = await self._db.fetchrow(CREATE, tenant_id, login, password_hash)
        return await self.get(UserId(found(row, "tenant", tenant_id)["id"]))

    async def get(self, user_id: UserId) -> User:
        """One user; raises NotFound."""
        row = await self._db.fetchrow(GET, user_id, idempotent=True)
        return _convert(found(row, KIND, user_id))

    async def list(
        self, page: Page, *, tenant_id: TenantId | None = None, login: str | None = None
    ) -> Listing[User]:
        """One page of users."""
        filters = {"u.tenant_id = {}": tenant_id, "u.login = {}": login}
        return await read_list(self._db, LIST, page, filters, _convert)

    async def set_blocked(self, user_id: UserId, *, blocked: bool) -> None:
        """Block or unblock the user; to block ends their tokens. Raises NotFound."""
        tag = await self._db.execute(SET_BLOCKED, user_id, blocked, idempotent=True)
        changed(tag, KIND, user_id)

    async def set_password_hash(self, user_id: UserId, password_hash: str) -> None:
        """Change the password and end the user's tokens; raises NotFound."""
        tag = await self._db.execute(SET_PASSWORD_HASH, user_id, password_hash, idempotent=True)
        changed(tag, KIND, user_id)

    async def revoke_tokens(self, user_id: UserId) -> None:
        """End the user's tokens; raises NotFound."""
        changed(await self._db.execute(REVOKE_TOKENS, user_id, idempotent=True), KIND, user_id)

    async def set_home_node(self, user_id: UserId, node_id: NodeId | None) -> None:
        """Say which node has the user's home; with None the next start makes a new one.

        Raises NotFound, for the node too, and Conflict while a VM of the user runs.
        """
        tag = await self._db.execute(SET_HOME_NODE, user_id, node_id, idempotent=True)
        if row_count(tag) == 0:
            user = await self.get(user_id)
            raise Conflict(f"VMs of {user.login} run, with their home; stop them first.")

    async def claim_homes(self, node_id: NodeId, users: Iterable[UserId]) -> int:
        """Say that the node has the homes of these users, but those that another one has.

        Returns how many of them no node had before.
        """
        tag = await self._db.execute(CLAIM_HOMES, node_id, list(users), idempotent=True)
        return row_count(tag)

    async def delete(self, user_id: UserId) -> None:
        """Delete a user; raises Conflict while they have VMs, NotFound."""
        changed(await self._db.execute(DELETE, user_id), KIND, user_id)

    async def credentials(self, *names: tuple[str, str]) -> Credentials | None:
        """Return the credentials of the first of these logins and tenants that exists, or None."""
        logins, tenants = zip(*names, strict=True)
        row = await self._db.fetchrow(CREDENTIALS, list(logins), list(tenants), idempotent=True)
        if row is None:
            return None
        principal = Principal(
            UserId(row["id"]),
            TenantId(row["tenant_id"]),
            row["login"],
            row["tenant"],
            epoch=row["epoch"],
        )
        return Credentials(principal, row["password_hash"], row["blocked"])


def _convert(row: asyncpg.Record) -> User:
    return User(
        id=UserId(row["id"]),
        tenant_id=TenantId(row["tenant_id"]),
        tenant=row["tenant"],
        login=row["login"],
        blocked=row["blocked"],
        created_at=row["created_at"],
        home_node=row["home_node"],
    )
