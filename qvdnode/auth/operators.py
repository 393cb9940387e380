"""Authenticates administrators by API tokens, and issues and revokes tokens."""

import secrets
from collections.abc import Callable
from functools import partial
from typing import Final

from qvdnode.auth.failure_log import FailureLog
from qvdnode.auth.ports import ApiTokenStore
from qvdnode.auth.settings import AuthSettings
from qvdnode.auth.token_lookups import TokenLookups
from qvdnode.auth.verified import SECRET_BYTES, VerifiedCache
from qvdnode.model.errors import Unauthenticated, Unavailable
from qvdnode.model.ids import TenantId
from qvdnode.model.principal import Operator
from qvdnode.model.role import Role
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.tokens import digest, new_token

WRONG: Final = "The API token is unknown or was revoked; `qvd login` stores a new one."


class Operators:
    """Checks API tokens, issues and revokes them."""

    def __init__(self, tokens: ApiTokenStore, clock: Clock, settings: AuthSettings) -> None:
        self._tokens = tokens
        self._settings = settings
        self._lookups = TokenLookups(clock)
        self._failures = FailureLog(clock)
        self._verified: VerifiedCache[Operator] = VerifiedCache(
            secrets.token_bytes(SECRET_BYTES), clock, settings.remember_max
        )

    async def operator(
        self, token: str, *, source: str = "", is_wanted: Callable[[], bool] = lambda: True
    ) -> Operator:
        """Return a token's owner; raises Unauthenticated, and Unavailable if the database is away.

        A token that is not in the cache waits for its turn (`TokenLookups`); a cached one does not.
        `is_wanted` tells whether the caller still waits.

        The database is always asked, since a token may have been revoked on another node. While
        it is away a cached token is accepted, for what needs no database: to disconnect a client
        or to read a log.
        """
        key = self._verified.key(token)
        checkpoint = self._verified.checkpoint()
        look_up = partial(self._tokens.operator, digest(token))
        try:
            if self._known(key) is None:
                found = await self._lookups.find(key, source, look_up, is_wanted=is_wanted)
            else:
                found = await look_up()
        except Unavailable:
            found = self._known(key)
            if found is None:
                raise
            return found
        if found is None:
            self._verified.refuse(key)
            self._failures.write(login="", source=source, because="unknown API token")
            raise Unauthenticated(WRONG)
        self._verified.remember(key, found, checkpoint)
        return found

    async def issue(
        self, name: str, role: Role = Role.ADMIN, tenant_id: TenantId | None = None
    ) -> tuple[int, str]:
        """Create a token; returns its id and its text, which is not stored.

        Raises Conflict for its name, NotFound for the tenant.
        """
        token = new_token()
        return await self._tokens.add(name, digest(token), role, tenant_id), token

    async def revoke(self, token_id: int) -> None:
        """Revoke a token at once; raises NotFound."""
        await self._tokens.delete(token_id)
        self._verified.forget(lambda operator: operator.token_id == token_id)

    def _known(self, key: bytes) -> Operator | None:
        """Return the cached owner of a token, if it was verified recently enough."""
        return self._verified.find(key, younger_than_s=self._settings.remember_away_s)
