"""Who is asking, after authentication."""

from dataclasses import dataclass

from qvdnode.model.ids import TenantId, UserId, VmId


@dataclass(frozen=True, slots=True)
class Principal:
    """A user who has proved who they are."""

    user_id: UserId
    tenant_id: TenantId
    login: str
    tenant: str
    only_vm: VmId | None = None
    """The one VM this principal's token is bound to, if it is bound."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody who may administer the farm through REST: the owner of an API token."""

    name: str
    token_id: int
