"""The caller after authentication."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from qvdnode.model.ids import TenantId, UserId, VmId
from qvdnode.model.role import Role


@dataclass(frozen=True, slots=True)
class Principal:
    """A user who has proved who they are."""

    user_id: UserId
    tenant_id: TenantId
    login: str
    tenant: str
    only_vm: VmId | None = None
    """The one VM this principal's token is bound to, if it is bound."""
    epoch: int = field(default=0, compare=False)
    """Of the account at the login: a later one means that this login has been ended."""
    ends_at: datetime | None = field(default=None, compare=False)
    """When this login ends, if it is a token's."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody who may administer the farm through REST: the owner of an API token."""

    name: str
    token_id: int
    role: Role = Role.ADMIN
    tenant_id: TenantId | None = None
    """The one tenant whose things the token is for; None for the whole farm."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a user's password is checked against; stays between the database and auth."""

    principal: Principal
    password_hash: str = field(repr=False)
    blocked: bool
    """Whether the user or their tenant may not log in."""


@dataclass(frozen=True, slots=True)
class TokenHolder:
    """Whom a user token logs in, and until when."""

    principal: Principal
    blocked: bool
    """Whether the user or their tenant may not log in."""
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class LoginCopy:
    """All that a login of one user is checked against."""

    credentials: Credentials
    tokens: Mapping[bytes, TokenHolder] = field(repr=False)
    """By the tokens' digests."""
