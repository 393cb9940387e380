"""Logins in browsers, and links that log in once. Rows hold digests; the browser has the key."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from qvdnode.db.api_tokens import operator_of
from qvdnode.db.lists import ListSource, read_list
from qvdnode.db.pool import Database
from qvdnode.db.rows import changed
from qvdnode.model.browser_session import BrowserSession
from qvdnode.model.errors import Unauthenticated
from qvdnode.model.ids import TenantId, UserId
from qvdnode.model.listing import Listing, Page
from qvdnode.model.principal import Operator, Principal
from qvdnode.model.role import Role

LIFE: Final = timedelta(hours=8)
IDLE: Final = timedelta(minutes=30)
PER_OWNER_MAX: Final = 20

COLUMNS: Final = """
s.id, s.token_id, k.name AS operator, k.role, k.tenant_id AS bound_tenant_id,
s.user_id, s.epoch, u.login, u.tenant_id, t.name AS tenant,
s.source, s.agent, s.created_at, s.seen_at, s.ends_at,
extract(epoch FROM clock_timestamp() - s.seen_at)::float8 AS unseen_s
"""
# Without its token, or with a user who is blocked or in a later epoch, a row counts for nothing.
OWNERS: Final = """
LEFT JOIN api_token k ON k.id = s.token_id
LEFT JOIN app_user u ON u.id = s.user_id AND u.epoch = s.epoch AND NOT u.blocked
LEFT JOIN tenant t ON t.id = u.tenant_id AND NOT t.blocked
"""
IS_VALID: Final = "(k.id IS NOT NULL OR t.id IS NOT NULL) AND s.ends_at > clock_timestamp()"
VALID: Final = f"{OWNERS} WHERE {IS_VALID}"
# Takes the place of the one that was not used for longest, and clears away what has ended.
ADD: Final = f"""
WITH gone AS (
    DELETE FROM browser_session WHERE ends_at < clock_timestamp() OR id IN (
        SELECT id FROM browser_session
        WHERE token_id = $2 OR user_id = $3 ORDER BY seen_at DESC, id DESC OFFSET $8
    )
), s AS (
    INSERT INTO browser_session (digest, token_id, user_id, epoch, source, agent, ends_at)
    VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp() + $7::interval)
    RETURNING *
)
SELECT {COLUMNS} FROM s {VALID}
"""
FIND: Final = f"""
SELECT {COLUMNS} FROM browser_session s {VALID}
AND s.digest = $1 AND s.seen_at > clock_timestamp() - $2::interval
"""
SEEN: Final = """
UPDATE browser_session SET seen_at = clock_timestamp() WHERE id = $1
"""
LIST: Final = ListSource(
    columns=COLUMNS,
    tables=f"browser_session s {OWNERS}",
    id="s.id",
    searched=(),
    condition=IS_VALID,
)
END: Final = "DELETE FROM browser_session WHERE id = $1 AND (token_id = $2 OR user_id = $3)"
ADD_LINK: Final = """
WITH gone AS (DELETE FROM login_link WHERE expires_at < clock_timestamp())
INSERT INTO login_link (digest, token_id, expires_at)
VALUES ($1, $2, clock_timestamp() + $3::interval) RETURNING expires_at
"""
TAKE_LINK: Final = """
WITH taken AS (DELETE FROM login_link WHERE digest = $1 RETURNING token_id, expires_at)
SELECT k.id, k.name, k.role, k.tenant_id FROM taken JOIN api_token k ON k.id = taken.token_id
WHERE taken.expires_at > clock_timestamp()
"""
ENDED: Final = "This login has ended meanwhile; log in again."


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """How long a login in a browser is valid, and how many one owner may have."""

    life: timedelta = LIFE
    idle: timedelta = IDLE
    per_owner_max: int = PER_OWNER_MAX


class BrowserSessions:
    """The tables of logins in browsers and of one-time links."""

    def __init__(self, db: Database, limits: SessionLimits) -> None:
        self._db = db
        self._limits = limits

    async def add(
        self, owner: Operator | Principal, digest: bytes, *, source: str, agent: str
    ) -> BrowserSession:
        """Store a new login; the owner's oldest one ends when there are too many.

        Raises Unauthenticated when the owner's own login was ended meanwhile.
        """
        token_id, user_id = _owner_ids(owner)
        row = await self._db.fetchrow(
            ADD,
            digest,
            token_id,
            user_id,
            owner.epoch if isinstance(owner, Principal) else None,
            source,
            agent,
            self._limits.life,
            self._limits.per_owner_max - 1,
        )
        if row is None:
            raise Unauthenticated(ENDED)
        return _convert(row)

    async def find(self, digest: bytes) -> BrowserSession | None:
        """Return a login that is valid now, or None."""
        row = await self._db.fetchrow(FIND, digest, self._limits.idle, idempotent=True)
        return None if row is None else _convert(row)

    async def seen(self, session_id: int) -> None:
        """Note that the login was used just now."""
        await self._db.execute(SEEN, session_id, idempotent=True)

    async def list(self, owner: Operator | Principal, page: Page) -> Listing[BrowserSession]:
        """One page of the owner's valid logins."""
        token_id, user_id = _owner_ids(owner)
        filters = {
            "s.token_id = {}": token_id,
            "s.user_id = {}": user_id,
            "s.seen_at > clock_timestamp() - {}::interval": self._limits.idle,
        }
        return await read_list(self._db, LIST, page, filters, _convert)

    async def end(self, owner: Operator | Principal, session_id: int) -> None:
        """End one of the owner's logins; raises NotFound."""
        tag = await self._db.execute(END, session_id, *_owner_ids(owner))
        changed(tag, "login", session_id)

    async def add_link(self, operator: Operator, digest: bytes, life: timedelta) -> datetime:
        """Store a one-time link of an administrator; returns when it expires."""
        expires_at: datetime = await self._db.fetchval(ADD_LINK, digest, operator.token_id, life)
        return expires_at

    async def take_link(self, digest: bytes) -> Operator | None:
        """Use up a link; None for one that is unknown, used or expired."""
        row = await self._db.fetchrow(TAKE_LINK, digest)
        return None if row is None else operator_of(row)


def _owner_ids(owner: Operator | Principal) -> tuple[int | None, int | None]:
    """The ids of token and user, of which one is None."""
    if isinstance(owner, Operator):
        return owner.token_id, None
    return None, owner.user_id


def _convert(row: asyncpg.Record) -> BrowserSession:
    owner: Operator | Principal
    if row["token_id"] is not None:
        owner = Operator(
            row["operator"], row["token_id"], Role(row["role"]), row["bound_tenant_id"]
        )
    else:
        owner = Principal(
            user_id=UserId(row["user_id"]),
            tenant_id=TenantId(row["tenant_id"]),
            login=row["login"],
            tenant=row["tenant"],
            epoch=row["epoch"],
            ends_at=row["ends_at"],
        )
    return BrowserSession(
        id=row["id"],
        owner=owner,
        source=row["source"],
        agent=row["agent"],
        created_at=row["created_at"],
        seen_at=row["seen_at"],
        ends_at=row["ends_at"],
        unseen_s=row["unseen_s"],
    )
