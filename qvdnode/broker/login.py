"""Checks the login of one connection and caches the result for that connection.

Clients send their credentials with each request. The same bytes mean the same principal, for a
limited time and until somebody is blocked or gets a new password on this node. Any other bytes
clear the cache. So only credentials that this connection proved are accepted without a new check,
and the cache does not help to guess passwords.
"""

from qvdnode.auth.authenticator import Authenticator
from qvdnode.model.errors import Unauthenticated
from qvdnode.model.ids import UserId
from qvdnode.model.principal import Principal
from qvdnode.runtime.clock import Clock
from qvdnode.wire.qvd_credentials import BasicLogin, parse_authorization


class ConnectionLogin:
    """The login of one connection."""

    __slots__ = ("_authenticator", "_changes", "_check_s", "_clock", "_header", "_principal",
                 "_source", "_until_s")  # fmt: skip

    def __init__(
        self, authenticator: Authenticator, clock: Clock, source: str, check_s: float
    ) -> None:
        self._authenticator = authenticator
        self._clock = clock
        self._source = source
        self._check_s = check_s
        self._changes = 0
        self._header = ""
        self._until_s = 0.0
        self._principal: Principal | None = None

    async def principal(self, header: str) -> Principal:
        """Return the principal of an Authorization header.

        Raises Unauthenticated, Throttled, Unavailable.
        """
        now_s = self._clock.monotonic_s()
        changes = self._authenticator.changes
        same = (header, changes) == (self._header, self._changes)
        if self._principal is not None and same and now_s < self._until_s:
            return self._principal
        self._principal = None
        if not header:
            raise Unauthenticated("Log in with your user name and password.")
        found = await self._check(header)
        self._header, self._changes = header, changes
        self._until_s, self._principal = now_s + self._check_s, found
        return found

    @property
    def good(self) -> bool:
        """Whether the login of the last request was valid."""
        return self._principal is not None

    @property
    def user_id(self) -> UserId | None:
        """The user of the last valid login; None without one."""
        return None if self._principal is None else self._principal.user_id

    async def _check(self, header: str) -> Principal:
        match parse_authorization(header):
            case BasicLogin(login, password):
                return await self._authenticator.basic(login, password, source=self._source)
            case bearer:
                return await self._authenticator.bearer(bearer.token, source=self._source)
