"""/images: root file systems and their versions. image_import.py imports new versions."""

from datetime import datetime
from typing import Final, Self

from pydantic import Field, model_validator

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, ApiCall, Endpoint
from qvdnode.admin.fields import Id
from qvdnode.admin.reading import ListQuery, NoBody, NoQuery, RequestBody, sort_field
from qvdnode.db.images import ImageVersion
from qvdnode.model.errors import BadImage, Conflict, HostFailed, NotFound
from qvdnode.model.farm import Image


class ImageView(AnswerModel):
    """An image; desktops start from `head_version`."""

    id: int
    name: str
    head_version: int | None
    size_bytes: int
    created_at: datetime


class ImageList(AnswerModel):
    """One page of images."""

    items: list[ImageView]
    next_after: int | str | None
    total: int
    """How many items match on all pages; 50,000 for that many or more."""


class ImageQuery(ListQuery):
    """How images are listed."""

    sort: str = sort_field("name", "created_at")


class VersionView(AnswerModel):
    """One version of an image."""

    version: int
    commit: str | None = None
    """None while no node has told it."""
    size_bytes: int
    note: str
    created_at: datetime


class VersionList(AnswerModel):
    """All versions of an image, oldest first."""

    items: list[VersionView]


class Head(RequestBody):
    """The version that desktops start from now on; exactly one of the two."""

    version: Id | None = None
    revision: str | None = Field(
        default=None,
        max_length=160,
        description="Or a branch, a tag or a commit, as docs/images.md says; it becomes a version.",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.version is None) == (self.revision is None):
            raise ValueError("must have either a version or a revision")
        return self


def view(image: Image) -> ImageView:
    """Return the view of an image."""
    return ImageView(
        id=image.id,
        name=image.name,
        head_version=image.head_version,
        size_bytes=image.size_bytes,
        created_at=image.created_at,
    )


def version_view(version: ImageVersion) -> VersionView:
    """Return the view of a version."""
    return VersionView(
        version=version.version,
        commit=version.commit_name,
        size_bytes=version.size_bytes,
        note=version.note,
        created_at=version.created_at,
    )


async def list_images(call: ApiCall[NoBody, ImageQuery]) -> ImageList:
    """Return one page of images."""
    listing = await call.parts.catalogue.images.list(call.query.page())
    return ImageList(
        items=[view(item) for item in listing.items],
        next_after=listing.next_after,
        total=listing.total,
    )


async def show_image(call: ApiCall[NoBody, NoQuery]) -> ImageView:
    """Return one image."""
    return view(await call.parts.catalogue.images.by_name(call.name()))


async def list_versions(call: ApiCall[NoBody, NoQuery]) -> VersionList:
    """Return all versions of an image."""
    images = call.parts.catalogue.images
    image = await images.by_name(call.name())
    return VersionList(items=[version_view(item) for item in await images.versions(image.id)])


async def set_head(call: ApiCall[Head, NoQuery]) -> ImageView:
    """Make another version the head; running VMs keep theirs until they stop.

    Raises Conflict while a rollout of the image goes on.
    """
    images = call.parts.catalogue.images
    image = await images.by_name(call.name())
    number = await _version(call, image)
    await images.choose_head(image.id, number)
    call.changed("image", image.id, name=image.name, head_version=number)
    return view(await images.by_name(image.name))


async def _version(call: ApiCall[Head, NoQuery], image: Image) -> int:
    """The number of the version that is asked for; a commit that has none gets one."""
    catalogue, body = call.parts.catalogue, call.body
    if body.revision is None:
        known = {item.version for item in await catalogue.images.versions(image.id)}
        if body.version is None or body.version not in known:
            raise NotFound(f"Image {image.name} has no version {body.version}.")
        return body.version
    commit = await catalogue.farm.resolve(image, body.revision)
    return (await catalogue.farm.version_of(image, commit)).version


async def delete_image(call: ApiCall[NoBody, NoQuery]) -> None:
    """Delete an image with all its versions; raises Conflict while a flavour or a guest uses it."""
    catalogue = call.parts.catalogue
    image = await catalogue.images.by_name(call.name())
    await catalogue.importer.mark_removal(image.id)
    try:
        await catalogue.images.delete(image.id)
    except Conflict:
        await catalogue.importer.unmark_removal(image.id)
        raise
    call.changed("image", image.id, name=image.name)
    await catalogue.importer.remove(image.id)


ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path="/images",
        handler=list_images,
        summary="List images",
        tag="images",
        body=NoBody,
        query=ImageQuery,
        answer=ImageList,
    ),
    Endpoint(
        method="GET",
        path="/images/{name}",
        handler=show_image,
        summary="Show an image",
        tag="images",
        body=NoBody,
        query=NoQuery,
        answer=ImageView,
    ),
    Endpoint(
        method="GET",
        path="/images/{name}/versions",
        handler=list_versions,
        summary="List the versions of an image",
        tag="images",
        body=NoBody,
        query=NoQuery,
        answer=VersionList,
    ),
    Endpoint(
        method="PUT",
        path="/images/{name}/head",
        handler=set_head,
        summary="Choose the version that desktops start from",
        tag="images",
        body=Head,
        query=NoQuery,
        answer=ImageView,
        errors=(BadImage, Conflict, HostFailed),
        action="image.head",
    ),
    Endpoint(
        method="DELETE",
        path="/images/{name}",
        handler=delete_image,
        summary="Delete an image that no flavour and no running VM uses",
        tag="images",
        body=NoBody,
        query=NoQuery,
        status=204,
        errors=(Conflict,),
        action="image.delete",
    ),
)
