"""Tokens that log a user in for a day. Rows hold digests; a token's text is known to its owner."""

from datetime import timedelta
from typing import Final

from qvdnode.db.pool import Database
from qvdnode.model.errors import Unauthenticated
from qvdnode.model.ids import TenantId, UserId, VmId
from qvdnode.model.principal import Principal, TokenHolder
from qvdnode.runtime.tokens import digest, new_token

LIFE: Final = timedelta(hours=24)
PER_USER_MAX: Final = 20

# Concurrent issues for one user take turns, so that the limit counts all tokens. A statement's
# snapshot is taken before it waits for a lock, so the lock is a statement of its own.
LOCK_USER: Final = """
SELECT u.epoch FROM app_user u JOIN tenant t ON t.id = u.tenant_id
WHERE u.id = $1 AND NOT u.blocked AND NOT t.blocked FOR NO KEY UPDATE OF u
"""
ISSUE: Final = """
WITH gone AS (
    DELETE FROM user_token WHERE user_id = $1 AND (
        expires_at < clock_timestamp() OR epoch <> $4
        OR id IN (SELECT id FROM user_token WHERE user_id = $1 ORDER BY id DESC OFFSET $7)
    )
)
INSERT INTO user_token (user_id, digest, only_vm, epoch, expires_at)
VALUES ($1, $2, $3, $4, least(clock_timestamp() + $5::interval, $6::timestamptz))
RETURNING id
"""
HOLDER: Final = """
SELECT u.id, u.tenant_id, u.login, t.name AS tenant, u.epoch, k.only_vm, k.expires_at,
       u.blocked OR t.blocked AS blocked
FROM user_token k JOIN app_user u ON u.id = k.user_id JOIN tenant t ON t.id = u.tenant_id
WHERE k.digest = $1 AND k.expires_at > clock_timestamp() AND k.epoch = u.epoch
"""
ENDED: Final = "This login has ended meanwhile; log in again."


class UserTokens:
    """The table of user tokens."""

    def __init__(
        self, db: Database, *, life: timedelta = LIFE, per_user_max: int = PER_USER_MAX
    ) -> None:
        self._db = db
        self._life = life
        self._per_user_max = per_user_max

    async def issue(self, principal: Principal, *, only_vm: VmId | None = None) -> tuple[int, str]:
        """Issue a token that is valid for a day; returns its id and its text.

        A principal bound to one VM gets a token bound to it, and one who came with a token gets
        one with the same end. The user's oldest token is deleted when there are too many. Raises
        Unauthenticated when the login was ended by a new password, a block or a revocation.
        """
        token = new_token()
        bound = principal.only_vm if principal.only_vm is not None else only_vm
        async with self._db.transaction() as tx:
            epoch = await tx.fetchval(LOCK_USER, principal.user_id)
            if epoch != principal.epoch:
                raise Unauthenticated(ENDED)
            token_id = await tx.fetchval(
                ISSUE,
                principal.user_id,
                digest(token),
                bound,
                epoch,
                self._life,
                principal.ends_at,
                self._per_user_max - 1,
            )
        return int(token_id), token

    async def holder(self, token_digest: bytes) -> TokenHolder | None:
        """Return a token's user; None for an unknown, expired or revoked token."""
        row = await self._db.fetchrow(HOLDER, token_digest, idempotent=True)
        if row is None:
            return None
        principal = Principal(
            user_id=UserId(row["id"]),
            tenant_id=TenantId(row["tenant_id"]),
            login=row["login"],
            tenant=row["tenant"],
            only_vm=None if row["only_vm"] is None else VmId(row["only_vm"]),
            epoch=row["epoch"],
            ends_at=row["expires_at"],
        )
        return TokenHolder(principal, row["blocked"], row["expires_at"])
