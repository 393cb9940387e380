"""/flavours: kinds of desktops: which image, how much memory, which limits."""

from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from typing import Annotated, Final, Literal

from pydantic import Field

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, Asked, Endpoint
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
    nesting: bool = Field(
        default=False,
        description="Whether bubblewrap, flatpak and podman run; docs/security.md tells the price.",
    )


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
    nesting: bool = LeftOut


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
    nesting: bool


class FlavourList(AnswerModel):
    """One page of flavours."""

    items: list[FlavourView]
    next_after: int | None


class FlavourQuery(PageQuery):
    """Which flavours."""

    tenant_id: int | None = IdFilter
    name: Name | None = None


async def views(parts: AdminParts, flavours: Sequence[Flavour]) -> list[FlavourView]:
    """Flavours as REST shows them, with the names of their tenants."""
    tenants = await parts.accounts.tenants.names(flavour.tenant_id for flavour in flavours)
    return [
        FlavourView(tenant=tenants.get(flavour.tenant_id, ""), **asdict(flavour))
        for flavour in flavours
    ]


async def view(parts: AdminParts, flavour: Flavour) -> FlavourView:
    """One flavour as REST shows it."""
    return (await views(parts, (flavour,)))[0]


async def list_flavours(asked: Asked[NoBody, FlavourQuery]) -> FlavourList:
    """One page of flavours."""
    query = asked.query
    listing = await asked.parts.catalogue.flavours.list(
        query.page(),
        tenant_id=None if query.tenant_id is None else TenantId(query.tenant_id),
        name=query.name,
    )
    items = await views(asked.parts, listing.items)
    return FlavourList(items=items, next_after=listing.next_after)


async def create_flavour(asked: Asked[NewFlavour, NoQuery]) -> FlavourView:
    """Make a flavour; raises NotFound for its tenant or image, Conflict for its name."""
    catalogue = asked.parts.catalogue
    image = await catalogue.images.by_name(asked.body.image)
    wanted = asked.body.model_dump(exclude={"tenant_id", "image"})
    draft = FlavourDraft(tenant_id=TenantId(asked.body.tenant_id), image_id=image.id, **wanted)
    flavour = await catalogue.flavours.create(draft)
    asked.changed("flavour", flavour.id, name=flavour.name, image=flavour.image)
    return await view(asked.parts, flavour)


async def show_flavour(asked: Asked[NoBody, NoQuery]) -> FlavourView:
    """One flavour."""
    parts = asked.parts
    return await view(parts, await parts.catalogue.flavours.get(FlavourId(asked.id())))


async def change_flavour(asked: Asked[FlavourChange, NoQuery]) -> FlavourView:
    """Change what the body names; raises NotFound for the image, Conflict for the name."""
    catalogue = asked.parts.catalogue
    flavour = await catalogue.flavours.get(FlavourId(asked.id()))
    changes = asked.body.model_dump(exclude_unset=True)
    image = changes.pop("image", None)
    draft = replace(_draft_of(flavour), **changes)
    if image is not None:
        draft = replace(draft, image_id=(await catalogue.images.by_name(str(image))).id)
    changed = await catalogue.flavours.update(flavour.id, draft)
    changed_to = asked.body.model_dump(exclude_unset=True)
    asked.changed("flavour", flavour.id, **{"name": flavour.name, **changed_to})
    return await view(asked.parts, changed)


def _draft_of(flavour: Flavour) -> FlavourDraft:
    return FlavourDraft(**{item.name: getattr(flavour, item.name) for item in fields(FlavourDraft)})


async def delete_flavour(asked: Asked[NoBody, NoQuery]) -> None:
    """Delete a flavour; raises Conflict while VMs are of it."""
    flavours = asked.parts.catalogue.flavours
    flavour = await flavours.get(FlavourId(asked.id()))
    await flavours.delete(flavour.id)
    asked.changed("flavour", flavour.id, name=flavour.name)


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
        summary="Make a flavour",
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
        summary="Delete a flavour that no VM is of",
        tag="flavours",
        body=NoBody,
        query=NoQuery,
        status=204,
        errors=(Conflict,),
        action="flavour.delete",
    ),
)
