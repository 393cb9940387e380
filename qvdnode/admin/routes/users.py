"""/users: the people who log in to desktops. No answer has a password or its hash."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, ApiCall, Endpoint
from qvdnode.admin.fields import Id, Login, Password
from qvdnode.admin.reading import IdFilter, ListQuery, NoBody, NoQuery, RequestBody, sort_field
from qvdnode.model.account import account_name
from qvdnode.model.errors import Conflict, NotFound
from qvdnode.model.farm import User
from qvdnode.model.ids import NodeId, TenantId, UserId


class UserDraft(RequestBody):
    """The body that creates a user."""

    tenant_id: Id
    login: Login
    password: Password


class UserChange(RequestBody):
    """The fields of a user that can change."""

    blocked: bool
    """A blocked user cannot log in, and loses all tokens; an open session stays."""


class NewPassword(RequestBody):
    """A password to set."""

    password: Password


class HomePlace(RequestBody):
    """Where the user's home is."""

    node_id: Id | None
    """The node that has it; null if it is lost, or was never made: the next start makes one."""


class UserView(AnswerModel):
    """A user, without password or hash."""

    id: int
    tenant_id: int
    tenant: str
    login: str
    account: str
    """The name of the user's account in desktops, and of the home folder there."""
    blocked: bool
    created_at: datetime
    home_node: int | None
    """The node that has the user's home, and so runs the user's VMs; null before the first
    start."""


class UserList(AnswerModel):
    """One page of users."""

    items: list[UserView]
    next_after: int | str | None
    total: int
    """How many items match on all pages; 50,000 for that many or more."""


class UserQuery(ListQuery):
    """Filters for users."""

    sort: str = sort_field("login", "tenant", "created_at")
    tenant_id: int | None = IdFilter
    login: Login | None = None


def view(user: User) -> UserView:
    """Return the view of a user."""
    return UserView(
        id=user.id,
        tenant_id=user.tenant_id,
        tenant=user.tenant,
        login=user.login,
        account=account_name(user.login),
        blocked=user.blocked,
        created_at=user.created_at,
        home_node=user.home_node,
    )


async def list_users(call: ApiCall[NoBody, UserQuery]) -> UserList:
    """Return one page of users."""
    query = call.query
    listing = await call.parts.accounts.users.list(
        query.page(),
        tenant_id=None if query.tenant_id is None else TenantId(query.tenant_id),
        login=query.login,
    )
    return UserList(
        items=[view(item) for item in listing.items],
        next_after=listing.next_after,
        total=listing.total,
    )


async def create_user(call: ApiCall[UserDraft, NoQuery]) -> UserView:
    """Create a user. Raises NotFound: no such tenant; Conflict: the tenant has this login."""
    accounts = call.parts.accounts
    draft = call.body
    password_hash = await accounts.hasher.hash(draft.password.get_secret_value())
    user = await accounts.users.create(TenantId(draft.tenant_id), draft.login, password_hash)
    call.changed("user", user.id, login=user.login, tenant=user.tenant)
    return view(user)


async def show_user(call: ApiCall[NoBody, NoQuery]) -> UserView:
    """Return one user."""
    return view(await call.parts.accounts.users.get(UserId(call.id())))


async def change_user(call: ApiCall[UserChange, NoQuery]) -> UserView:
    """Block or unblock a user; a cached login ends at once."""
    accounts = call.parts.accounts
    user = await accounts.users.get(UserId(call.id()))
    blocked = call.body.blocked
    await accounts.users.set_blocked(user.id, blocked=blocked)
    accounts.authenticator.forget(user.id)
    call.changed("user", user.id, login=user.login, tenant=user.tenant, blocked=blocked)
    return view(replace(user, blocked=blocked))


async def set_password(call: ApiCall[NewPassword, NoQuery]) -> None:
    """Set a user's password; the old password and all tokens stop working at once."""
    accounts = call.parts.accounts
    user = await accounts.users.get(UserId(call.id()))
    password_hash = await accounts.hasher.hash(call.body.password.get_secret_value())
    await accounts.users.set_password_hash(user.id, password_hash)
    accounts.authenticator.forget(user.id)
    call.changed("user", user.id, login=user.login, tenant=user.tenant)


async def set_home(call: ApiCall[HomePlace, NoQuery]) -> UserView:
    """Say which node has a user's home, after it was moved or lost. No file is moved.

    Raises NotFound for the node, and Conflict while a VM of the user runs.
    """
    users = call.parts.accounts.users
    user = await users.get(UserId(call.id()))
    chosen = call.body.node_id
    node = None if chosen is None else await call.parts.nodes.get(NodeId(chosen))
    await users.set_home_node(user.id, None if node is None else node.id)
    name = None if node is None else node.name
    call.changed("user", user.id, login=user.login, tenant=user.tenant, home_node=name)
    return view(await users.get(user.id))


async def revoke_tokens(call: ApiCall[NoBody, NoQuery]) -> None:
    """Revoke all tokens of a user: every device needs the password again."""
    accounts = call.parts.accounts
    user = await accounts.users.get(UserId(call.id()))
    await accounts.users.revoke_tokens(user.id)
    accounts.authenticator.forget(user.id)
    call.changed("user", user.id, login=user.login, tenant=user.tenant)


async def delete_user(call: ApiCall[NoBody, NoQuery]) -> None:
    """Delete a user without VMs; the home folder stays on the node's disk."""
    accounts = call.parts.accounts
    user = await accounts.users.get(UserId(call.id()))
    await accounts.users.delete(user.id)
    accounts.authenticator.forget(user.id)
    call.changed("user", user.id, login=user.login, tenant=user.tenant)


ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path="/users",
        handler=list_users,
        summary="List users",
        tag="users",
        body=NoBody,
        query=UserQuery,
        answer=UserList,
    ),
    Endpoint(
        method="POST",
        path="/users",
        handler=create_user,
        summary="Create a user",
        tag="users",
        body=UserDraft,
        query=NoQuery,
        answer=UserView,
        status=201,
        errors=(NotFound, Conflict),
        action="user.create",
    ),
    Endpoint(
        method="GET",
        path="/users/{id}",
        handler=show_user,
        summary="Show a user",
        tag="users",
        body=NoBody,
        query=NoQuery,
        answer=UserView,
    ),
    Endpoint(
        method="PATCH",
        path="/users/{id}",
        handler=change_user,
        summary="Block or unblock a user",
        tag="users",
        body=UserChange,
        query=NoQuery,
        answer=UserView,
        action="user.change",
    ),
    Endpoint(
        method="PUT",
        path="/users/{id}/password",
        handler=set_password,
        summary="Set a user's password",
        tag="users",
        body=NewPassword,
        query=NoQuery,
        status=204,
        action="user.password",
    ),
    Endpoint(
        method="PUT",
        path="/users/{id}/home",
        handler=set_home,
        summary="Say which node has a user's home",
        tag="users",
        body=HomePlace,
        query=NoQuery,
        answer=UserView,
        errors=(Conflict,),
        action="user.home",
    ),
    Endpoint(
        method="DELETE",
        path="/users/{id}/tokens",
        handler=revoke_tokens,
        summary="Revoke all tokens of a user",
        tag="users",
        body=NoBody,
        query=NoQuery,
        status=204,
        action="user.tokens",
    ),
    Endpoint(
        method="DELETE",
        path="/users/{id}",
        handler=delete_user,
        summary="Delete a user who has no VMs",
        tag="users",
        body=NoBody,
        query=NoQuery,
        status=204,
        errors=(Conflict,),
        action="user.delete",
    ),
)
