"""Tokens that log a user in for a day. Rows hold digests; a token's text is known to its owner."""

from datetime import timedelta
from typing import Final

from qvdnode.db.pool import Database
from qvdnode.model.ids import TenantId, UserId, VmId
from qvdnode.model.principal import Principal, TokenHolder
from qvdnode.runtime.tokens import digest, new_token

LIFE: Final = timedelta(hours=24)

ISSUE: Final = """
INSERT INTO user_token (user_id, digest, only_vm, expires_at)
VALUES ($1, $2, $3, clock_timestamp() + $4::interval)
RETURNING id
"""
DELETE_EXPIRED: Final = (
    "DELETE FROM user_token WHERE user_id = $1 AND expires_at < clock_timestamp()"
)
HOLDER: Final = """
SELECT u.id, u.tenant_id, u.login, t.name AS tenant, k.only_vm, k.expires_at,
       u.blocked OR t.blocked AS blocked
FROM user_token k JOIN app_user u ON u.id = k.user_id JOIN tenant t ON t.id = u.tenant_id
WHERE k.digest = $1 AND k.expires_at > clock_timestamp()
"""


class UserTokens:
    """The table of user tokens."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def issue(self, principal: Principal, *, only_vm: VmId | None = None) -> tuple[int, str]:
        """A token that logs this principal in for 24 hours: its id and its text.

        A principal bound to one VM hands its bond on.
        """
        token = new_token()
        bound = principal.only_vm if principal.only_vm is not None else only_vm
        await self._db.execute(DELETE_EXPIRED, principal.user_id, idempotent=True)
        token_id = await self._db.fetchval(ISSUE, principal.user_id, digest(token), bound, LIFE)
        return int(token_id), token

    async def holder(self, token_digest: bytes) -> TokenHolder | None:
        """Whom a token logs in; None for an unknown or expired one."""
        row = await self._db.fetchrow(HOLDER, token_digest, idempotent=True)
        if row is None:
            return None
        principal = Principal(
            user_id=UserId(row["id"]),
            tenant_id=TenantId(row["tenant_id"]),
            login=row["login"],
            tenant=row["tenant"],
            only_vm=None if row["only_vm"] is None else VmId(row["only_vm"]),
        )
        return TokenHolder(principal, row["blocked"], row["expires_at"])
