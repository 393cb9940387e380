"""What logins are checked against. Each Protocol is met by a table in db/."""

from typing import Protocol

from qvdnode.model.principal import Credentials, Operator, TokenHolder


class CredentialStore(Protocol):
    """Users with their password hashes."""

    async def credentials(self, login: str, tenant: str) -> Credentials | None:
        """What a login is checked against, or None for an unknown one; raises Unavailable."""
        ...


class UserTokenStore(Protocol):
    """Tokens of users."""

    async def holder(self, token_digest: bytes) -> TokenHolder | None:
        """Whom a token logs in, None for an unknown or expired one; raises Unavailable."""
        ...


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
