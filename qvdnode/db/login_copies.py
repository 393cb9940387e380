"""The login data of many users at once: what nodes keep for while the database is away."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from qvdnode.db.pool import Database
from qvdnode.model.ids import TenantId, UserId, VmId
from qvdnode.model.principal import Credentials, LoginCopy, Principal, TokenHolder

AT_ONCE: Final = 500
USERS: Final = """
SELECT u.id, u.tenant_id, u.login, t.name AS tenant, u.password_hash, u.epoch,
       u.blocked OR t.blocked AS blocked
FROM app_user u JOIN tenant t ON t.id = u.tenant_id
WHERE u.id = ANY($1::integer[])
"""
TOKENS: Final = """
SELECT k.user_id, k.digest, k.only_vm, k.epoch, k.expires_at
FROM user_token k
WHERE k.user_id = ANY($1::integer[]) AND k.expires_at > clock_timestamp()
"""


class LoginCopyRows:
    """Satisfies auth.ports.LoginCopyStore."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def copies(self, user_ids: Sequence[UserId]) -> Sequence[LoginCopy]:
        """The login data of those of the users that exist; raises Unavailable."""
        found = list[LoginCopy]()
        for at in range(0, len(user_ids), AT_ONCE):
            found += await self._some(user_ids[at : at + AT_ONCE])
        return found

    async def _some(self, user_ids: Sequence[UserId]) -> list[LoginCopy]:
        wanted = list(user_ids)
        # The tokens first: one that the users' rows end meanwhile has another epoch then.
        token_rows = await self._db.fetch(TOKENS, wanted, idempotent=True)
        user_rows = await self._db.fetch(USERS, wanted, idempotent=True)
        tokens = defaultdict(list)
        for row in token_rows:
            tokens[row["user_id"]].append(row)
        copies = list[LoginCopy]()
        for row in user_rows:
            facts = (UserId(row["id"]), TenantId(row["tenant_id"]), row["login"], row["tenant"])
            holders = {
                token["digest"]: TokenHolder(
                    Principal(
                        *facts,
                        only_vm=None if token["only_vm"] is None else VmId(token["only_vm"]),
                        epoch=row["epoch"],
                        ends_at=token["expires_at"],
                    ),
                    row["blocked"],
                    token["expires_at"],
                )
                for token in tokens[row["id"]]
                if token["epoch"] == row["epoch"]
            }
            principal = Principal(*facts, epoch=row["epoch"])
            credentials = Credentials(principal, row["password_hash"], row["blocked"])
            copies.append(LoginCopy(credentials, holders))
        return copies
