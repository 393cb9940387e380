"""/tenants: isolated groups of users, with their flavours and VMs."""

from dataclasses import replace
from typing import Final

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, ApiCall, Endpoint
from qvdnode.admin.fields import TenantName
from qvdnode.admin.reading import IdFilter, ListQuery, NoBody, NoQuery, RequestBody, sort_field
from qvdnode.model.errors import Conflict
from qvdnode.model.farm import Tenant
from qvdnode.model.ids import TenantId


class TenantDraft(RequestBody):
    """The body that creates a tenant."""

    name: TenantName


class TenantChange(RequestBody):
    """The fields of a tenant that can change."""

    blocked: bool | None = None
    """Nobody of a blocked tenant can log in."""
    assistance: bool | None = None
    """Whether helpers may ask its users to see their desktops."""


class TenantView(AnswerModel):
    """A tenant."""

    id: int
    name: str
    blocked: bool
    assistance: bool


class TenantList(AnswerModel):
    """One page of tenants."""

    items: list[TenantView]
    next_after: int | str | None
    total: int
    """How many items match on all pages; 50,000 for that many or more."""


class TenantQuery(ListQuery):
    """Filters for tenants."""

    sort: str = sort_field("name", "created_at")
    name: TenantName | None = None
    tenant_id: int | None = IdFilter


def view(tenant: Tenant) -> TenantView:
    """Return the view of a tenant."""
    return TenantView(
        id=tenant.id, name=tenant.name, blocked=tenant.blocked, assistance=tenant.assistance
    )


async def list_tenants(call: ApiCall[NoBody, TenantQuery]) -> TenantList:
    """Return one page of tenants."""
    query = call.query
    listing = await call.parts.accounts.tenants.list(
        query.page(),
        tenant_id=None if query.tenant_id is None else TenantId(query.tenant_id),
        name=query.name,
    )
    return TenantList(
        items=[view(item) for item in listing.items],
        next_after=listing.next_after,
        total=listing.total,
    )


async def create_tenant(call: ApiCall[TenantDraft, NoQuery]) -> TenantView:
    """Create a tenant; raises Conflict when the name is taken."""
    tenant = await call.parts.accounts.tenants.create(call.body.name)
    call.changed("tenant", tenant.id, name=tenant.name)
    return view(tenant)


async def show_tenant(call: ApiCall[NoBody, NoQuery]) -> TenantView:
    """Return one tenant."""
    return view(await call.parts.accounts.tenants.get(TenantId(call.id())))


async def change_tenant(call: ApiCall[TenantChange, NoQuery]) -> TenantView:
    """Change what the body names; to block ends cached logins of its users at once."""
    accounts, body = call.parts.accounts, call.body
    tenant = await accounts.tenants.get(TenantId(call.id()))
    if body.blocked is not None:
        await accounts.tenants.set_blocked(tenant.id, blocked=body.blocked)
        accounts.authenticator.forget_tenant(tenant.id)
    if body.assistance is not None:
        await accounts.tenants.set_assistance(tenant.id, allowed=body.assistance)
    changes = body.model_dump(exclude_none=True)
    call.changed("tenant", tenant.id, **{"name": tenant.name, **changes})
    return view(replace(tenant, **changes))


async def delete_tenant(call: ApiCall[NoBody, NoQuery]) -> None:
    """Delete a tenant; raises Conflict while it has users or flavours."""
    tenants = call.parts.accounts.tenants
    tenant = await tenants.get(TenantId(call.id()))
    await tenants.delete(tenant.id)
    call.changed("tenant", tenant.id, name=tenant.name)


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
        summary="Create a tenant",
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
