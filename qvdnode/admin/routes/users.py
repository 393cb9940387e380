"""/users: people who log in to desktops. Passwords come in here and never go out."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, Asked, Endpoint
from qvdnode.admin.fields import Id, Login, Password
from qvdnode.admin.reading import IdFilter, NoBody, NoQuery, PageQuery, RequestBody
from qvdnode.model.account import account_name
from qvdnode.model.errors import Conflict, NotFound
from qvdnode.model.farm import User
from qvdnode.model.ids import TenantId, UserId


class UserDraft(RequestBody):
    """A user to be."""

    tenant_id: Id
    login: Login
    password: Password


class UserChange(RequestBody):
    """What may change about a user."""

    blocked: bool
    """A blocked user cannot log in, and has no tokens any more; a session that is open stays."""


class NewPassword(RequestBody):
    """A password to set."""

    password: Password


class UserView(AnswerModel):
    """A user. There is no password in it, not even a hash."""

    id: int
    tenant_id: int
    tenant: str
    login: str
    account: str
    """The name of the account in the user's desktops, and of its home there."""
    blocked: bool
    created_at: datetime


class UserList(AnswerModel):
    """One page of users."""

    items: list[UserView]
    next_after: int | None


class UserQuery(PageQuery):
    """Which users."""

    tenant_id: int | None = IdFilter
    login: Login | None = None


def view(user: User) -> UserView:
    """The user as REST shows them."""
    return UserView(
        id=user.id,
        tenant_id=user.tenant_id,
        tenant=user.tenant,
        login=user.login,
        account=account_name(user.login),
        blocked=user.blocked,
        created_at=user.created_at,
    )


async def list_users(asked: Asked[NoBody, UserQuery]) -> UserList:
    """One page of users."""
    query = asked.query
    listing = await asked.parts.accounts.users.list(
        query.page(),
        tenant_id=None if query.tenant_id is None else TenantId(query.tenant_id),
        login=query.login,
    )
    return UserList(items=[view(item) for item in listing.items], next_after=listing.next_after)


async def create_user(asked: Asked[UserDraft, NoQuery]) -> UserView:
    """Make a user; raises NotFound for the tenant, Conflict when it has one of that login."""
    accounts = asked.parts.accounts
    draft = asked.body
    password_hash = await accounts.hasher.hash(draft.password.get_secret_value())
    user = await accounts.users.create(TenantId(draft.tenant_id), draft.login, password_hash)
    asked.changed("user", user.id, login=user.login, tenant=user.tenant)
    return view(user)


async def show_user(asked: Asked[NoBody, NoQuery]) -> UserView:
    """One user."""
    return view(await asked.parts.accounts.users.get(UserId(asked.id())))


async def change_user(asked: Asked[UserChange, NoQuery]) -> UserView:
    """Block or unblock a user; a remembered login is forgotten at once."""
    accounts = asked.parts.accounts
    user = await accounts.users.get(UserId(asked.id()))
    blocked = asked.body.blocked
    await accounts.users.set_blocked(user.id, blocked=blocked)
    accounts.authenticator.forget(user.id)
    asked.changed("user", user.id, login=user.login, tenant=user.tenant, blocked=blocked)
    return view(replace(user, blocked=blocked))


async def set_password(asked: Asked[NewPassword, NoQuery]) -> None:
    """Set a user's password; the old one stops working at once, and so do the user's tokens."""
    accounts = asked.parts.accounts
    user = await accounts.users.get(UserId(asked.id()))
    password_hash = await accounts.hasher.hash(asked.body.password.get_secret_value())
    await accounts.users.set_password_hash(user.id, password_hash)
    accounts.authenticator.forget(user.id)
    asked.changed("user", user.id, login=user.login, tenant=user.tenant)


async def revoke_tokens(asked: Asked[NoBody, NoQuery]) -> None:
    """End a user's tokens: on every device the password is needed again."""
    accounts = asked.parts.accounts
    user = await accounts.users.get(UserId(asked.id()))
    await accounts.users.revoke_tokens(user.id)
    accounts.authenticator.forget(user.id)
    asked.changed("user", user.id, login=user.login, tenant=user.tenant)


async def delete_user(asked: Asked[NoBody, NoQuery]) -> None:
    """Delete a user without VMs; the home folder stays on the node's disk."""
    accounts = asked.parts.accounts
    user = await accounts.users.get(UserId(asked.id()))
    await accounts.users.delete(user.id)
    accounts.authenticator.forget(user.id)
    asked.changed("user", user.id, login=user.login, tenant=user.tenant)


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
        summary="Make a user",
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
