"""/search: finds things of all kinds by the beginning of their names."""

from typing import Annotated, Final

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, ApiCall, Endpoint
from qvdnode.admin.fields import SEARCHED
from qvdnode.admin.reading import NoBody, Query
from qvdnode.model.listing import Page

FOUND_MAX: Final = 10
"""Most results of each kind."""


class SearchQuery(Query):
    """What to look for."""

    q: Annotated[str, SEARCHED.field()]


class Found(AnswerModel):
    """One thing that was found."""

    id: int
    name: str
    detail: str
    """What tells it from others of its name: tenant, owner or state."""


class FoundList(AnswerModel):
    """At most ten of each kind, by name."""

    users: list[Found]
    vms: list[Found]
    nodes: list[Found]
    images: list[Found]
    flavours: list[Found]
    tenants: list[Found]


async def search(call: ApiCall[NoBody, SearchQuery]) -> FoundList:
    """Return what has a name that begins so; VMs also by the logins of their users."""
    parts = call.parts
    page = Page(limit=FOUND_MAX, q=call.query.q, sort="name")
    users = await parts.accounts.users.list(Page(limit=FOUND_MAX, q=call.query.q, sort="login"))
    vms = await parts.vms.list(page)
    nodes = await parts.nodes.list(page)
    images = await parts.catalogue.images.list(page)
    flavours = await parts.catalogue.flavours.list(page)
    tenants = await parts.accounts.tenants.list(page)
    names = await parts.accounts.tenants.names(item.tenant_id for item in flavours.items)
    return FoundList(
        users=[Found(id=item.id, name=item.login, detail=item.tenant) for item in users.items],
        vms=[Found(id=item.id, name=item.name, detail=item.user_login) for item in vms.items],
        nodes=[Found(id=item.id, name=item.name, detail=item.state) for item in nodes.items],
        images=[
            Found(id=item.id, name=item.name, detail=str(item.head_version or ""))
            for item in images.items
        ],
        flavours=[
            Found(id=item.id, name=item.name, detail=names.get(item.tenant_id, ""))
            for item in flavours.items
        ],
        tenants=[Found(id=item.id, name=item.name, detail="") for item in tenants.items],
    )


ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path="/search",
        handler=search,
        summary="Find users, VMs, nodes, images, flavours and tenants by name",
        tag="search",
        body=NoBody,
        query=SearchQuery,
        answer=FoundList,
    ),
)
