"""Who may call which endpoint of administrators: one table, by the names of the handlers.

A token has a role, and may be bound to a tenant. A bound one sees the tenant's things alone: those
of others do not exist for it. dispatch.py asks here before each handler runs.
"""

from collections.abc import Awaitable, Callable, Mapping
from enum import Enum, auto
from typing import Any, Final

from aiohttp import web

from qvdnode.admin.endpoint import ApiCall
from qvdnode.model.errors import Forbidden, NotFound
from qvdnode.model.ids import FlavourId, TenantId, UserId, VmId
from qvdnode.model.principal import Operator
from qvdnode.model.role import Role


class Reach(Enum):
    """What a token that is bound to a tenant may reach by an endpoint."""

    FARM = auto()
    """Nothing: it is about the whole farm."""
    SHARED = auto()
    """Everything: it is the caller's own, or belongs to no tenant."""
    LIST = auto()
    """Those of its tenant; the list's filter `tenant_id` is set."""
    TENANT = auto()
    """The tenant itself, by the number in the path; as the next three."""
    USER = auto()
    FLAVOUR = auto()
    VM = auto()
    NEW = auto()
    """The tenant that the body names."""
    NEW_VM = auto()
    """The user and the flavour that the body names."""


CALLS: Final[web.AppKey[Mapping[str, str]]] = web.AppKey("calls", Mapping[str, str])
"""All endpoints under /api/v1 as `METHOD /path`, by the names of their handlers."""
ACCESS: Final[dict[str, tuple[Role, Reach]]] = {
    "list_tenants": (Role.VIEWER, Reach.LIST),
    "create_tenant": (Role.ADMIN, Reach.FARM),
    "show_tenant": (Role.VIEWER, Reach.TENANT),
    "change_tenant": (Role.ADMIN, Reach.FARM),
    "delete_tenant": (Role.ADMIN, Reach.FARM),
    "list_users": (Role.VIEWER, Reach.LIST),
    "create_user": (Role.ADMIN, Reach.NEW),
    "show_user": (Role.VIEWER, Reach.USER),
    "change_user": (Role.ADMIN, Reach.USER),
    # Whoever sets a password can log in as the user.
    "set_password": (Role.ADMIN, Reach.USER),
    "set_home": (Role.ADMIN, Reach.FARM),
    "revoke_tokens": (Role.ADMIN, Reach.USER),
    "delete_user": (Role.ADMIN, Reach.USER),
    # Names of files are the user's own.
    "show_home_log": (Role.ADMIN, Reach.USER),
    "take_home_snapshot": (Role.HELPDESK, Reach.USER),
    "restore_home_files": (Role.HELPDESK, Reach.USER),
    "list_flavours": (Role.VIEWER, Reach.LIST),
    # How much of the farm a tenant's desktops take is decided for the whole farm.
    "create_flavour": (Role.ADMIN, Reach.FARM),
    "show_flavour": (Role.VIEWER, Reach.FLAVOUR),
    "change_flavour": (Role.ADMIN, Reach.FARM),
    "delete_flavour": (Role.ADMIN, Reach.FARM),
    "list_images": (Role.VIEWER, Reach.SHARED),
    "show_image": (Role.VIEWER, Reach.SHARED),
    "list_versions": (Role.VIEWER, Reach.SHARED),
    "set_head": (Role.ADMIN, Reach.FARM),
    "delete_image": (Role.ADMIN, Reach.FARM),
    "import_version": (Role.ADMIN, Reach.FARM),
    "start_rollout": (Role.ADMIN, Reach.FARM),
    "show_rollout": (Role.VIEWER, Reach.FARM),
    "pause_rollout": (Role.ADMIN, Reach.FARM),
    "resume_rollout": (Role.ADMIN, Reach.FARM),
    "abort_rollout": (Role.ADMIN, Reach.FARM),
    "list_refs": (Role.VIEWER, Reach.FARM),
    "list_moves": (Role.VIEWER, Reach.FARM),
    "make_ref": (Role.ADMIN, Reach.FARM),
    "delete_ref": (Role.ADMIN, Reach.FARM),
    "roll_back": (Role.ADMIN, Reach.FARM),
    "commit_desktop": (Role.ADMIN, Reach.FARM),
    # All of an image's files, whatever they hold.
    "read_content": (Role.ADMIN, Reach.FARM),
    "list_commits": (Role.VIEWER, Reach.FARM),
    "show_diff": (Role.VIEWER, Reach.FARM),
    "show_store": (Role.VIEWER, Reach.FARM),
    "list_vms": (Role.VIEWER, Reach.LIST),
    "create_vm": (Role.ADMIN, Reach.NEW_VM),
    "show_vm": (Role.VIEWER, Reach.VM),
    "change_vm": (Role.HELPDESK, Reach.VM),
    "delete_vm": (Role.ADMIN, Reach.VM),
    "start_vm": (Role.HELPDESK, Reach.VM),
    "stop_vm": (Role.HELPDESK, Reach.VM),
    "ask_to_assist": (Role.HELPDESK, Reach.VM),
    "disconnect_vm": (Role.HELPDESK, Reach.VM),
    "show_log": (Role.VIEWER, Reach.VM),
    "show_placement": (Role.VIEWER, Reach.FARM),
    "show_tags": (Role.VIEWER, Reach.VM),
    "set_tags": (Role.ADMIN, Reach.VM),
    "list_sessions": (Role.VIEWER, Reach.LIST),
    "show_node": (Role.VIEWER, Reach.FARM),
    "list_nodes": (Role.VIEWER, Reach.FARM),
    "show_one": (Role.VIEWER, Reach.FARM),
    "invite_node": (Role.ADMIN, Reach.FARM),
    "remove_node": (Role.ADMIN, Reach.FARM),
    "fence_node": (Role.ADMIN, Reach.FARM),
    "drain_node": (Role.ADMIN, Reach.FARM),
    "undrain_node": (Role.ADMIN, Reach.FARM),
    "show_key": (Role.ADMIN, Reach.FARM),
    "rotate_key": (Role.ADMIN, Reach.FARM),
    "show_memory": (Role.VIEWER, Reach.FARM),
    "list_audit": (Role.ADMIN, Reach.FARM),
    "list_tokens": (Role.ADMIN, Reach.FARM),
    "create_token": (Role.ADMIN, Reach.FARM),
    "revoke_token": (Role.ADMIN, Reach.FARM),
    "show_login": (Role.VIEWER, Reach.SHARED),
    "create_link": (Role.VIEWER, Reach.SHARED),
    "list_logins": (Role.VIEWER, Reach.SHARED),
    "end_login": (Role.VIEWER, Reach.SHARED),
    "events": (Role.VIEWER, Reach.FARM),
    "list_figures": (Role.VIEWER, Reach.FARM),
    "search": (Role.VIEWER, Reach.FARM),
    "metrics": (Role.VIEWER, Reach.FARM),
}
"""The least role and the reach of each endpoint of administrators. A test finds a missing row."""
STRICTEST: Final = (Role.ADMIN, Reach.FARM)
"""For an endpoint whose row was forgotten."""


def require_role(operator: Operator, handler: str) -> None:
    """Check what does not depend on the object; raises Forbidden."""
    role, reach = ACCESS.get(handler, STRICTEST)
    if not operator.role.covers(role):
        raise Forbidden(f"This needs the role {role}; your token has the role {operator.role}.")
    if reach is Reach.FARM and operator.tenant_id is not None:
        raise Forbidden("This is about the whole farm, and your token is for one tenant.")


async def require_reach(call: ApiCall[Any, Any], handler: str) -> None:
    """Check that a bound token reaches the object; raises NotFound, Forbidden, Unavailable."""
    tenant_id = None if call.operator is None else call.operator.tenant_id
    if tenant_id is not None:
        check = _CHECKS.get(ACCESS.get(handler, STRICTEST)[1])
        if check is not None:
            await check(call, tenant_id)


def allowed_calls(operator: Operator, calls: Mapping[str, str]) -> list[str]:
    """What the operator may call, of `calls`, which are by the names of their handlers."""
    bound = operator.tenant_id is not None
    return [
        calls[name]
        for name, (role, reach) in ACCESS.items()
        if name in calls and operator.role.covers(role) and not (bound and reach is Reach.FARM)
    ]


async def _list(call: ApiCall[Any, Any], tenant_id: TenantId) -> None:
    if call.query.tenant_id not in {None, tenant_id}:
        raise Forbidden("Your token is for another tenant.")
    call.query = call.query.model_copy(update={"tenant_id": tenant_id})


async def _tenant(call: ApiCall[Any, Any], tenant_id: TenantId) -> None:
    _same(call.id(), tenant_id)


async def _user(call: ApiCall[Any, Any], tenant_id: TenantId) -> None:
    _same((await call.parts.accounts.users.get(UserId(call.id()))).tenant_id, tenant_id)


async def _flavour(call: ApiCall[Any, Any], tenant_id: TenantId) -> None:
    flavours = call.parts.catalogue.flavours
    _same((await flavours.get(FlavourId(call.id()))).tenant_id, tenant_id)


async def _vm(call: ApiCall[Any, Any], tenant_id: TenantId) -> None:
    _same((await call.parts.vms.get(VmId(call.id()))).tenant_id, tenant_id)


async def _new(call: ApiCall[Any, Any], tenant_id: TenantId) -> None:
    if call.body.tenant_id != tenant_id:
        raise Forbidden("Your token is for another tenant.")


async def _new_vm(call: ApiCall[Any, Any], tenant_id: TenantId) -> None:
    parts = call.parts
    _same((await parts.accounts.users.get(UserId(call.body.user_id))).tenant_id, tenant_id)
    flavour = await parts.catalogue.flavours.get(FlavourId(call.body.flavour_id))
    _same(flavour.tenant_id, tenant_id)


def _same(found: int, tenant_id: TenantId) -> None:
    if found != tenant_id:
        raise NotFound("There is no such thing in your tenant.")


_CHECKS: Final[dict[Reach, Callable[[ApiCall[Any, Any], TenantId], Awaitable[None]]]] = {
    Reach.LIST: _list,
    Reach.TENANT: _tenant,
    Reach.USER: _user,
    Reach.FLAVOUR: _flavour,
    Reach.VM: _vm,
    Reach.NEW: _new,
    Reach.NEW_VM: _new_vm,
}
