"""/flavours: the kinds of desktops. A flavour has an image, limits and settings."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from typing import Annotated, Final

from pydantic import BaseModel, Field

from qvdnode.admin.derived_models import ChangeBody, FieldsAnswer
from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, ApiCall, Endpoint
from qvdnode.admin.fields import (
    AbsolutePath,
    DriverName,
    Id,
    ImageName,
    Locale,
    Name,
    Program,
    Timezone,
)
from qvdnode.admin.parts import AdminParts
from qvdnode.admin.reading import IdFilter, ListQuery, NoBody, NoQuery, RequestBody, sort_field
from qvdnode.model.errors import Conflict, HostFailed, NotFound
from qvdnode.model.farm import (
    DEFAULT_DRIVER,
    DEFAULT_HIBERNATE_AFTER_S,
    Flavour,
    FlavourDraft,
    KeptOverlay,
    Takeover,
)
from qvdnode.model.ids import FlavourId, TenantId
from qvdnode.model.image_lack import Lacking, sentences, wishes_of
from qvdnode.model.transfer import Transfer

log = logging.getLogger(__name__)

MemoryMib = Annotated[int, Field(ge=64, le=1_048_576)]
CpuPct = Annotated[int, Field(ge=5, le=25_600)]
PidsMax = Annotated[int, Field(ge=32, le=1_000_000)]
HibernateAfter = Annotated[int, Field(ge=0, le=31_536_000)]
IdleMinutes = Annotated[int, Field(ge=0, le=10_080)]
IDLE: Final = (
    "Minutes without a key or the pointer after which the client is disconnected; 0 for never."
)
DiskMib = Annotated[int, Field(ge=64, le=16_777_216)]


class FlavourFields(BaseModel):
    """What can be set of a flavour. A new field is declared here, for all bodies and answers."""

    name: Name
    image: ImageName
    driver: DriverName = Field(
        default=DEFAULT_DRIVER, description="What runs the desktops: one that a node offers."
    )
    memory_mib: MemoryMib = 1024
    cpu_pct: CpuPct = Field(default=100, description="100 is one core.")
    pids_max: PidsMax = 1024
    disk_mib: DiskMib = Field(default=4096, description="What a desktop may write outside home.")
    home_mib: DiskMib = 4096
    application: Program | None = Field(
        default=None, description="Show this one program instead of a desktop; null for a desktop."
    )
    shell: AbsolutePath = "/bin/bash"
    locale: Locale = "C.UTF-8"
    timezone: Timezone = "Etc/UTC"
    egress: bool = Field(default=True, description="Whether guests reach the world outside.")
    hibernate_after_s: HibernateAfter = Field(
        default=DEFAULT_HIBERNATE_AFTER_S,
        description="Seconds without a user after which a desktop may hibernate; 0: never.",
    )
    idle_minutes: IdleMinutes = Field(default=0, description=IDLE)
    nesting: bool = Field(
        default=False,
        description="Whether bubblewrap and flatpak run; docs/security.md tells the price.",
    )
    takeover: Takeover = Field(
        default=Takeover.NEVER,
        description="When a desktop of a node that was lost starts on another one with its home.",
    )
    overlay: KeptOverlay = Field(
        default=KeptOverlay.FRESH,
        description="Whether changes outside of the home are thrown away with each stop (fresh), or"
        " stay on the node and move to new versions of the image (keep).",
    )
    clipboard: Transfer = Field(
        default=Transfer.BOTH,
        description="Which way the clipboard works, seen from the desktop.",
    )
    files: Transfer = Field(
        default=Transfer.BOTH,
        description="Which way files go between homes and browsers, seen from the desktop.",
    )


class NewFlavour(RequestBody, FlavourFields):
    """A flavour to be."""

    tenant_id: Id


class FlavourChange(ChangeBody, FlavourFields):
    """What to change; fields left out stay as they are. Running VMs take it at their next start."""


class FlavourView(FieldsAnswer, FlavourFields):
    """A flavour."""

    id: int
    tenant_id: int
    tenant: str
    image_id: int


class FlavourDetail(FlavourView):
    """One flavour with what a look at its image tells."""

    warnings: list[str]
    """What the image lacks of what the flavour names, and what desktops get instead."""


class FlavourList(AnswerModel):
    """One page of flavours."""

    items: list[FlavourView]
    next_after: int | str | None
    total: int
    """How many items match on all pages; 50,000 for that many or more."""


class FlavourQuery(ListQuery):
    """Filters for flavours."""

    sort: str = sort_field("name", "image")
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


async def detail(parts: AdminParts, flavour: Flavour) -> FlavourDetail:
    """One flavour with what its image lacks, as far as this node has the image."""
    shown = await view(parts, flavour)
    catalogue, wishes = parts.catalogue, wishes_of(flavour)
    version = (await catalogue.images.by_name(flavour.image)).head_version
    lacking = Lacking()
    if version is not None:
        try:
            lacking = await catalogue.contents.lacking(flavour.image_id, version, wishes)
        except HostFailed as error:
            because = {"image": flavour.image, "because": str(error)}
            log.warning("image_not_looked_at", extra=because)
    return FlavourDetail(**shown.model_dump(), warnings=sentences(wishes, lacking))


async def list_flavours(call: ApiCall[NoBody, FlavourQuery]) -> FlavourList:
    """One page of flavours."""
    query = call.query
    listing = await call.parts.catalogue.flavours.list(
        query.page(),
        tenant_id=None if query.tenant_id is None else TenantId(query.tenant_id),
        name=query.name,
    )
    items = await views(call.parts, listing.items)
    return FlavourList(items=items, next_after=listing.next_after, total=listing.total)


async def create_flavour(call: ApiCall[NewFlavour, NoQuery]) -> FlavourDetail:
    """Make a flavour; raises Conflict for its name, NotFound for tenant, image or driver.

    A driver that no node offers counts as unknown: the desktops could never start.
    """
    catalogue = call.parts.catalogue
    await _require_driver(call.parts, call.body.driver)
    image = await catalogue.images.by_name(call.body.image)
    wanted = call.body.model_dump(exclude={"tenant_id", "image"})
    draft = FlavourDraft(tenant_id=TenantId(call.body.tenant_id), image_id=image.id, **wanted)
    flavour = await catalogue.flavours.create(draft)
    call.changed("flavour", flavour.id, name=flavour.name, image=flavour.image)
    return await detail(call.parts, flavour)


async def show_flavour(call: ApiCall[NoBody, NoQuery]) -> FlavourDetail:
    """One flavour."""
    parts = call.parts
    return await detail(parts, await parts.catalogue.flavours.get(FlavourId(call.id())))


async def change_flavour(call: ApiCall[FlavourChange, NoQuery]) -> FlavourDetail:
    """Change what the body names; raises as `create_flavour`."""
    catalogue = call.parts.catalogue
    flavour = await catalogue.flavours.get(FlavourId(call.id()))
    changes = call.body.model_dump(exclude_unset=True)
    if "driver" in changes:
        await _require_driver(call.parts, changes["driver"])
    image = changes.pop("image", None)
    draft = replace(_draft_of(flavour), **changes)
    if image is not None:
        draft = replace(draft, image_id=(await catalogue.images.by_name(str(image))).id)
    changed = await catalogue.flavours.update(flavour.id, draft)
    changed_to = call.body.model_dump(exclude_unset=True)
    call.changed("flavour", flavour.id, **{"name": flavour.name, **changed_to})
    return await detail(call.parts, changed)


async def _require_driver(parts: AdminParts, driver: str) -> None:
    offered = {*parts.facts().drivers, *await parts.nodes.drivers()}
    if driver not in offered:
        names = ", ".join(sorted(offered))
        raise NotFound(f"No node has a driver {driver}; there is {names}.")


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
        answer=FlavourDetail,
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
        answer=FlavourDetail,
    ),
    Endpoint(
        method="PATCH",
        path="/flavours/{id}",
        handler=change_flavour,
        summary="Change a flavour",
        tag="flavours",
        body=FlavourChange,
        query=NoQuery,
        answer=FlavourDetail,
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
