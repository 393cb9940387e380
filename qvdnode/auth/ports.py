"""The stores that logins are checked against; db/ implements each Protocol."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from qvdnode.model.browser_session import BrowserSession
from qvdnode.model.familiar_login import FamiliarLogin
from qvdnode.model.ids import TenantId, UserId
from qvdnode.model.principal import (
    Credentials,
    LoginCopy,
    Operator,
    Principal,
    TokenHolder,
)
from qvdnode.model.role import Role


class CredentialStore(Protocol):
    """Users with their password hashes."""

    async def credentials(self, *names: tuple[str, str]) -> Credentials | None:
        """Return the credentials of the first of these accounts that exists, None if none does.

        Each name is a login and a tenant. One or two take the same time. Raises Unavailable.
        """
        ...


class UserTokenStore(Protocol):
    """Tokens of users."""

    async def holder(self, token_digest: bytes) -> TokenHolder | None:
        """Return a token's user, None for an unknown or expired token; raises Unavailable."""
        ...


class LoginCopyStore(Protocol):
    """The login data of many users at once."""

    async def copies(self, user_ids: Sequence[UserId]) -> Sequence[LoginCopy]:
        """Return those of the users that exist; raises Unavailable."""
        ...


class FamiliarStore(Protocol):
    """The networks from which users have logged in lately, at any node of the farm."""

    async def note(self, user_id: UserId, network: str) -> None:
        """Record that the user has logged in from there; may raise any FarmError."""
        ...

    async def of_network(self, network: str) -> Sequence[FamiliarLogin]:
        """Return the logins from there within a week; may raise any FarmError."""
        ...


@dataclass(frozen=True, slots=True)
class LoginStores:
    """All stores that logins of users are checked against."""

    users: CredentialStore
    tokens: UserTokenStore
    familiar: FamiliarStore


class ApiTokenStore(Protocol):
    """Tokens of administrators and their programs."""

    async def add(
        self, name: str, token_digest: bytes, role: Role, tenant_id: TenantId | None
    ) -> int:
        """Store a token's digest; returns its id.

        Raises Conflict for the name, NotFound for the tenant, Unavailable.
        """
        ...

    async def operator(self, token_digest: bytes) -> Operator | None:
        """Return a token's owner, None for an unknown token; raises Unavailable."""
        ...

    async def delete(self, token_id: int) -> None:
        """Delete a token; raises NotFound, Unavailable."""
        ...


class BrowserSessionStore(Protocol):
    """Logins in browsers, and links that log in once."""

    async def add(
        self, owner: Operator | Principal, digest: bytes, *, source: str, agent: str
    ) -> BrowserSession:
        """Store a new login; raises Unauthenticated if the owner's right ended, Unavailable."""
        ...

    async def find(self, digest: bytes) -> BrowserSession | None:
        """Return a login that is valid now, None for another; raises Unavailable."""
        ...

    async def seen(self, session_id: int) -> None:
        """Note that the login was used just now; raises Unavailable."""
        ...

    async def end(self, owner: Operator | Principal, session_id: int) -> None:
        """End one of the owner's logins; raises NotFound, Unavailable."""
        ...

    async def add_link(self, operator: Operator, digest: bytes, life: timedelta) -> datetime:
        """Store a one-time link; returns when it expires. Raises Unavailable."""
        ...

    async def take_link(self, digest: bytes) -> Operator | None:
        """Use up a link; None for one that is unknown, used or expired. Raises Unavailable."""
        ...
