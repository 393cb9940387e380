"""What logins are checked against. Each Protocol is met by a table in db/."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from qvdnode.model.familiar_login import FamiliarLogin
from qvdnode.model.ids import UserId
from qvdnode.model.principal import Credentials, Operator, TokenHolder


class CredentialStore(Protocol):
    """Users with their password hashes."""

    async def credentials(self, *names: tuple[str, str]) -> Credentials | None:
        """What the first of these that exists is checked against; None where none does.

        Each is a login and a tenant. One or two take the same time. Raises Unavailable.
        """
        ...


class UserTokenStore(Protocol):
    """Tokens of users."""

    async def holder(self, token_digest: bytes) -> TokenHolder | None:
        """Whom a token logs in, None for an unknown or expired one; raises Unavailable."""
        ...


class FamiliarStore(Protocol):
    """From which networks users have logged in lately, whatever node they came to."""

    async def note(self, user_id: UserId, network: str) -> None:
        """The user has logged in from there; may raise any FarmError."""
        ...

    async def of_network(self, network: str) -> Sequence[FamiliarLogin]:
        """Who has logged in from there within a week; may raise any FarmError."""
        ...


@dataclass(frozen=True, slots=True)
class LoginStores:
    """All that logins of users are checked against."""

    users: CredentialStore
    tokens: UserTokenStore
    familiar: FamiliarStore


class ApiTokenStore(Protocol):
    """Tokens of administrators and their programs."""

    async def add(self, name: str, token_digest: bytes) -> int:
        """Note a token and return its id; raises Conflict for the name, Unavailable."""
        ...

    async def operator(self, token_digest: bytes) -> Operator | None:
        """Whose token it is, or None for an unknown one; raises Unavailable."""
        ...

    async def delete(self, token_id: int) -> None:
        """Forget a token; raises NotFound, Unavailable."""
        ...
