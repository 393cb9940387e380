"""/flavours: the kinds of desktops. A flavour has an image, limits and settings."""

from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from typing import Annotated, Final, Literal

from pydantic import Field

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, ApiCall, Endpoint
from qvdnode.admin.fields import (
    AbsolutePath,
    Id,
    ImageName,
    Locale,
    Name,
    Program,
    Timezone,
)
from qvdnode.admin.parts import AdminParts
from qvdnode.admin.reading import IdFilter, LeftOut, NoBody, NoQuery, PageQuery, RequestBody
from qvdnode.model.errors import Conflict, NotFound
from qvdnode.model.farm import Flavour, FlavourDraft
from qvdnode.model.ids import FlavourId, TenantId

Driver = Literal["lxc"]
"""Those that nodes have: a flavour of another could never start."""
MemoryMib = Annotated[int, Field(ge=64, le=1_048_576)]
CpuPct = Annotated[int, Field(ge=5, le=25_600)]
PidsMax = Annotated[int, Field(ge=32, le=1_000_000)]
DiskMib = Annotated[int, Field(ge=64, le=16_777_216)]


class NewFlavour(RequestBody):
    """A flavour to be."""

    tenant_id: Id
    name: Name
    image: ImageName
    driver: Driver = "lxc"
    memory_mib: MemoryMib = 1024
    cpu_pct: CpuPct = Field(default=100, description="100 is one core.")
    pids_max: PidsMax = 1024
    disk_mib: DiskMib = Field(default=4096, description="What a desktop may write outside home.")
    home_mib: DiskMib = 4096
    application: Program | None = Field(
        default=None, description="Show this one program instead of a desktop."
    )
    shell: AbsolutePath = "/bin/bash"
    locale: Locale = "C.UTF-8"
    timezone: Timezone = "Etc/UTC"
    egress: bool = Field(default=True, description="Whether guests reach the world outside.")


class FlavourChange(RequestBody):
    """What to change; fields left out stay as they are. Running VMs take it at their next start."""

    name: Name = LeftOut
    image: ImageName = LeftOut
    memory_mib: MemoryMib = LeftOut
    cpu_pct: CpuPct = LeftOut
    pids_max: PidsMax = LeftOut
    disk_mib: DiskMib = LeftOut
    home_mib: DiskMib = LeftOut
    application: Program | None = None
    """null makes it a desktop again."""
    shell: AbsolutePath = LeftOut
    locale: Locale = LeftOut
    timezone: Timezone = LeftOut
    egress: bool = LeftOut


class FlavourView(AnswerModel):
    """A flavour."""

    id: int
    tenant_id: int
    tenant: str
    name: str
    image_id: int
    image: str
    driver: str
    memory_mib: int
    cpu_pct: int
    pids_max: int
    disk_mib: int
    home_mib: int
    application: str | None
    shell: str
    locale: str
    timezone: str
    egress: bool


class FlavourList(AnswerModel):
    """One page of flavours."""

    items: list[FlavourView]
    next_after: int | None


class FlavourQuery(PageQuery):
    """Filters for flavours."""

    tenant_id: int | None = IdFilter
    name: Name | None = None


async def views(parts: AdminParts, flavours: Sequence[Flavour]) -> list[FlavourView]:
    """Return the views of flavours, with the names of their tenants."""
    tenants = await parts.accounts.tenants.names(flavour.tenant_id for flavour in flavours)
    return [
        FlavourView(tenant=tenants.get(flavour.tenant_id, ""), **asdict(flavour))
        for flavour in flavours
    ]


async def view(parts: AdminParts, flavour: Flavour) -> FlavourView:
    """Return the view of one flavour."""
    return (await views(parts, (flavour,)))[0]


async def list_flavours(call: ApiCall[NoBody, FlavourQuery]) -> FlavourList:
    """Return one page of flavours."""
    query = call.query
    listing = await call.parts.catalogue.flavours.list(
        query.page(),
        tenant_id=None if query.tenant_id is None else TenantId(query.tenant_id),
        name=query.name,
    )
    items = await views(call.parts, listing.items)
    return FlavourList(items=items, next_after=listing.next_after)


async def create_flavour(call: ApiCall[NewFlavour, NoQuery]) -> FlavourView:
    """Make a flavour; raises NotFound for its tenant or image, Conflict for its name."""
    catalogue = call.parts.catalogue
    image = await catalogue.images.by_name(call.body.image)
    wanted = call.body.model_dump(exclude={"tenant_id", "image"})
    draft = FlavourDraft(tenant_id=TenantId(call.body.tenant_id), image_id=image.id, **wanted)
    flavour = await catalogue.flavours.create(draft)
    call.changed("flavour", flavour.id, name=flavour.name, image=flavour.image)
    return await view(call.parts, flavour)


async def show_flavour(call: ApiCall[NoBody, NoQuery]) -> FlavourView:
    """Return one flavour."""
    parts = call.parts
    return await view(parts, await parts.catalogue.flavours.get(FlavourId(call.id())))


async def change_flavour(call: ApiCall[FlavourChange, NoQuery]) -> FlavourView:
    """Change a flavour. Raises NotFound: no such image; Conflict: the name is taken."""
    catalogue = call.parts.catalogue
    flavour = await catalogue.flavours.get(FlavourId(call.id()))
    changes = call.body.model_dump(exclude_unset=True)
    image = changes.pop("image", None)
    draft = replace(_draft_of(flavour), **changes)
    if image is not None:
        draft = replace(draft, image_id=(await catalogue.images.by_name(str(image))).id)
    changed = await catalogue.flavours.update(flavour.id, draft)
    changed_to = call.body.model_dump(exclude_unset=True)
    call.changed("flavour", flavour.id, **{"name": flavour.name, **changed_to})
    return await view(call.parts, changed)


def _draft_of(flavour: Flavour) -> FlavourDraft:
    return FlavourDraft(**{item.name: getattr(flavour, item.name) for item in fields(FlavourDraft)})


async def delete_flavour(call: ApiCall[NoBody, NoQuery]) -> None:
    """Delete a flavour; raises Conflict while VMs use it."""
    flavours = call.parts.catalogue.flavours
    flavour = await flavours.get(FlavourId(call.id()))
    await flavours.delete(flavour.id)
    call.changed("flavour", flavour.id, name=flavour.name)


ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path="/flavours",
        handler=list_flavours,
        summary="List flavours",
        tag="flavours",
        body=NoBody,
        query=FlavourQuery,
        answer=FlavourList,
    ),
    Endpoint(
        method="POST",
        path="/flavours",
        handler=create_flavour,
        summary="Create a flavour",
        tag="flavours",
        body=NewFlavour,
        query=NoQuery,
        answer=FlavourView,
        status=201,
        errors=(NotFound, Conflict),
        action="flavour.create",
    ),
    Endpoint(
        method="GET",
        path="/flavours/{id}",
        handler=show_flavour,
        summary="Show a flavour",
        tag="flavours",
        body=NoBody,
        query=NoQuery,
        answer=FlavourView,
    ),
    Endpoint(
        method="PATCH",
        path="/flavours/{id}",
        handler=change_flavour,
        summary="Change a flavour",
        tag="flavours",
        body=FlavourChange,
        query=NoQuery,
        answer=FlavourView,
        errors=(Conflict,),
        action="flavour.change",
    ),
    Endpoint(
        method="DELETE",
        path="/flavours/{id}",
        handler=delete_flavour,
        summary="Delete a flavour that no VM uses",
        tag="flavours",
        body=NoBody,
        query=NoQuery,
        status=204,
        errors=(Conflict,),
        action="flavour.delete",
    ),
)
