"""/tenants: groups of users and their things, isolated from others."""

from dataclasses import replace
from typing import Final

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, Asked, Endpoint
from qvdnode.admin.fields import TenantName
from qvdnode.admin.reading import NoBody, NoQuery, PageQuery, RequestBody
from qvdnode.model.errors import Conflict, NotFound
from qvdnode.model.farm import Tenant
from qvdnode.model.ids import TenantId
from qvdnode.model.listing import Listing


class TenantDraft(RequestBody):
    """A tenant to be."""

    name: TenantName


class TenantChange(RequestBody):
    """What may change about a tenant."""

    blocked: bool
    """Nobody of a blocked tenant can log in."""


class TenantView(AnswerModel):
    """A tenant."""

    id: int
    name: str
    blocked: bool


class TenantList(AnswerModel):
    """One page of tenants."""

    items: list[TenantView]
    next_after: int | None


class TenantQuery(PageQuery):
    """Which tenants."""

    name: TenantName | None = None


def view(tenant: Tenant) -> TenantView:
    """The tenant as REST shows it."""
    return TenantView(id=tenant.id, name=tenant.name, blocked=tenant.blocked)


async def list_tenants(asked: Asked[NoBody, TenantQuery]) -> TenantList:
    """One page of tenants, or the one of that name."""
    tenants = asked.parts.accounts.tenants
    listing = (
        await tenants.list(asked.query.page())
        if asked.query.name is None
        else await _named(asked, asked.query.name)
    )
    return TenantList(items=[view(item) for item in listing.items], next_after=listing.next_after)


async def _named(asked: Asked[NoBody, TenantQuery], name: str) -> Listing[Tenant]:
    try:
        return Listing((await asked.parts.accounts.tenants.by_name(name),), None)
    except NotFound:
        return Listing((), None)


async def create_tenant(asked: Asked[TenantDraft, NoQuery]) -> TenantView:
    """Make a tenant; raises Conflict when the name is taken."""
    tenant = await asked.parts.accounts.tenants.create(asked.body.name)
    asked.changed("tenant", tenant.id, name=tenant.name)
    return view(tenant)


async def show_tenant(asked: Asked[NoBody, NoQuery]) -> TenantView:
    """One tenant."""
    return view(await asked.parts.accounts.tenants.get(TenantId(asked.id())))


async def change_tenant(asked: Asked[TenantChange, NoQuery]) -> TenantView:
    """Block or unblock a tenant; remembered logins are forgotten at once."""
    accounts = asked.parts.accounts
    tenant = await accounts.tenants.get(TenantId(asked.id()))
    blocked = asked.body.blocked
    await accounts.tenants.set_blocked(tenant.id, blocked=blocked)
    accounts.authenticator.forget_tenant(tenant.id)
    asked.changed("tenant", tenant.id, name=tenant.name, blocked=blocked)
    return view(replace(tenant, blocked=blocked))


async def delete_tenant(asked: Asked[NoBody, NoQuery]) -> None:
    """Delete a tenant that has nothing left; raises Conflict while it has."""
    tenants = asked.parts.accounts.tenants
    tenant = await tenants.get(TenantId(asked.id()))
    await tenants.delete(tenant.id)
    asked.changed("tenant", tenant.id, name=tenant.name)


ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path="/tenants",
        handler=list_tenants,
        summary="List tenants",
        tag="tenants",
        body=NoBody,
        query=TenantQuery,
        answer=TenantList,
    ),
    Endpoint(
        method="POST",
        path="/tenants",
        handler=create_tenant,
        summary="Make a tenant",
        tag="tenants",
        body=TenantDraft,
        query=NoQuery,
        answer=TenantView,
        status=201,
        errors=(Conflict,),
        action="tenant.create",
    ),
    Endpoint(
        method="GET",
        path="/tenants/{id}",
        handler=show_tenant,
        summary="Show a tenant",
        tag="tenants",
        body=NoBody,
        query=NoQuery,
        answer=TenantView,
    ),
    Endpoint(
        method="PATCH",
        path="/tenants/{id}",
        handler=change_tenant,
        summary="Block or unblock a tenant",
        tag="tenants",
        body=TenantChange,
        query=NoQuery,
        answer=TenantView,
        action="tenant.change",
    ),
    Endpoint(
        method="DELETE",
        path="/tenants/{id}",
        handler=delete_tenant,
        summary="Delete a tenant without users and flavours",
        tag="tenants",
        body=NoBody,
        query=NoQuery,
        status=204,
        errors=(Conflict,),
        action="tenant.delete",
    ),
)
