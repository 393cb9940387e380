"""The stores that logins are checked against; db/ implements each Protocol."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from qvdnode.model.familiar_login import FamiliarLogin
from qvdnode.model.ids import UserId
from qvdnode.model.principal import Credentials, Operator, TokenHolder


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

    async def add(self, name: str, token_digest: bytes) -> int:
        """Store a token's digest; returns its id. Raises Conflict for the name, Unavailable."""
        ...

    async def operator(self, token_digest: bytes) -> Operator | None:
        """Return a token's owner, None for an unknown token; raises Unavailable."""
        ...

    async def delete(self, token_id: int) -> None:
        """Delete a token; raises NotFound, Unavailable."""
        ...
