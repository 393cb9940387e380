"""Branches and tags of images over the whole farm, commits of desktops, and the content of any."""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import Field

from qvdnode.admin.endpoint import TAR, AnswerModel, AnyEndpoint, ApiCall, Endpoint
from qvdnode.admin.fields import Id, Note
from qvdnode.admin.reading import NoBody, NoQuery, Query, RequestBody
from qvdnode.admin.routes.images import ImageView, VersionView, version_view, view
from qvdnode.db.image_refs import RefMove, RefName
from qvdnode.image.core.refs import MAIN
from qvdnode.image.tar_export import tar_of_commit
from qvdnode.model.errors import BadImage, Conflict, HostFailed, NodeFull, NotFound, Unavailable
from qvdnode.model.farm import Image
from qvdnode.model.ids import VmId
from qvdnode.model.image_commit import CommitWish

REF: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
MOVES_MAX: Final = 1_000
RefText = Annotated[str, Field(pattern=REF)]
Revision = Annotated[str, Field(max_length=160)]


class RefView(AnswerModel):
    """A branch or a tag."""

    name: str
    tag: bool
    commit: str


class RefList(AnswerModel):
    """All branches and tags of an image."""

    items: list[RefView]


class MoveView(AnswerModel):
    """One move of a branch or tag."""

    old: str | None
    new: str | None
    who: str
    why: str
    moved_at: datetime


class MoveList(AnswerModel):
    """Moves, newest first."""

    items: list[MoveView]


class NewRef(RequestBody):
    """A branch or tag to make; a branch that exists moves only with `move`."""

    name: RefText
    tag: bool = False
    revision: Revision = ""
    move: bool = False


class RefQuery(Query):
    """Which branch or tag."""

    name: RefText = MAIN
    tag: bool = False


class Rollback(RequestBody):
    """A branch to move back: to where it was before, or to a revision."""

    branch: RefText = MAIN
    to: Revision = ""


class DesktopChanges(RequestBody):
    """What a running desktop has changed, to become a version."""

    vm_id: Id
    branch: RefText = MAIN
    note: Note = ""


class ContentQuery(Query):
    """Which commit."""

    revision: Revision = ""


async def list_refs(call: ApiCall[NoBody, NoQuery]) -> RefList:
    """Return the branches and tags of an image; versions are tags of their own."""
    image = await _image(call)
    refs = await call.parts.catalogue.refs.all(image.id)
    return RefList(
        items=[RefView(name=ref.name, tag=ref.tag, commit=name) for ref, name in refs.items()]
    )


async def list_moves(call: ApiCall[NoBody, RefQuery]) -> MoveList:
    """Return where a branch was, newest first."""
    image, query = await _image(call), call.query
    ref = RefName(query.name, query.tag)
    moves = await call.parts.catalogue.refs.moves(image.id, ref, MOVES_MAX)
    return MoveList(
        items=[
            MoveView(old=one.old, new=one.new, who=one.who, why=one.why, moved_at=one.moved_at)
            for one in moves
        ]
    )


async def make_ref(call: ApiCall[NewRef, NoQuery]) -> RefView:
    """Make a branch or tag, or move a branch; raises Conflict when somebody else moved it."""
    image, body = await _image(call), call.body
    if body.tag and body.name.isdecimal():
        raise Conflict("Numbers are the versions of images: choose a tag with a letter.")
    farm, ref = call.parts.catalogue.farm, RefName(body.name, body.tag)
    commit = await farm.resolve(image, body.revision)
    old = await call.parts.catalogue.refs.get(image.id, ref) if body.move else None
    why = f"{'moved to' if body.move else 'made at'} {body.revision or MAIN}"
    await farm.move(image, RefMove(ref, commit, call.administrator().name, why, old))
    call.changed("image", image.id, name=image.name, ref=ref.name, commit=commit)
    return RefView(name=ref.name, tag=ref.tag, commit=commit)


async def delete_ref(call: ApiCall[NoBody, RefQuery]) -> None:
    """Delete a branch or a tag."""
    image, query = await _image(call), call.query
    ref = RefName(query.name, query.tag)
    old = await call.parts.catalogue.refs.get(image.id, ref)
    if old is None:
        raise NotFound(f"Image {image.name} has no {'tag' if ref.tag else 'branch'} {ref.name}.")
    who = call.administrator().name
    await call.parts.catalogue.farm.move(image, RefMove(ref, None, who, "deleted", old))
    call.changed("image", image.id, name=image.name, ref=ref.name)


async def roll_back(call: ApiCall[Rollback, NoQuery]) -> ImageView:
    """Move a branch back; desktops that started from it start from where it is then."""
    image, body = await _image(call), call.body
    catalogue = call.parts.catalogue
    ref = RefName(body.branch)
    old = await catalogue.refs.get(image.id, ref)
    if old is None:
        raise NotFound(f"Image {image.name} has no branch {ref.name}.")
    new = await catalogue.farm.resolve(image, body.to or f"{ref.name}@{{1}}")
    numbered = {
        item.version: item.commit_name for item in await catalogue.images.versions(image.id)
    }
    follows = image.head_version is not None and numbered.get(image.head_version) == old
    version = await catalogue.farm.version_of(image, new) if follows else None
    why = f"rollback to {body.to or 'before'}"
    await catalogue.farm.move(image, RefMove(ref, new, call.administrator().name, why, old))
    if version is not None:
        await catalogue.images.choose_head(image.id, version.version)
    call.changed("image", image.id, name=image.name, ref=ref.name, commit=new)
    return view(await catalogue.images.by_name(image.name))


async def commit_desktop(call: ApiCall[DesktopChanges, NoQuery]) -> VersionView:
    """Make a version of what a running desktop has changed, on whichever node it runs."""
    parts, body = call.parts, call.body
    image, vm = await _image(call), await parts.vms.get(VmId(body.vm_id))
    host = await parts.hosts.running(vm.id, vm.owner_node)
    before = await parts.catalogue.refs.get(image.id, RefName(body.branch))
    who = call.administrator().name
    made = await host.commit(vm.id, CommitWish(image.name, body.branch, body.note, who))
    ref = RefName(body.branch)
    move = RefMove(ref, made.name, who, body.note or f"desktop {vm.name}", before)
    version = await parts.catalogue.farm.add(image, made, move)
    call.changed("image", image.id, name=image.name, version=version.version, vm=int(vm.id))
    return version_view(version)


async def read_content(call: ApiCall[NoBody, ContentQuery]) -> web.StreamResponse:
    """Return the root file system of a version or commit as a tar."""
    image = await _image(call)
    catalogue = call.parts.catalogue
    commit = await catalogue.farm.resolve(image, call.query.revision)
    await catalogue.farm.bring(image, commit)
    pieces = await asyncio.to_thread(tar_of_commit, catalogue.importer.versions.store, commit)
    response = web.StreamResponse(headers={"Content-Type": TAR, "X-Commit": commit})
    await response.prepare(call.request)
    try:
        while (piece := await asyncio.to_thread(_next, pieces)) is not None:
            await response.write(piece)
    except (BadImage, HostFailed):
        # The status is sent: only an end without the tar's own says that it is not whole.
        response.force_close()
        raise
    await response.write_eof()
    return response


def _next(pieces: Iterator[bytes]) -> bytes | None:
    return next(pieces, None)


async def _image(call: ApiCall[Any, Any]) -> Image:
    return await call.parts.catalogue.images.by_name(call.name())


ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET", path="/images/{name}/refs", handler=list_refs,
        summary="List the branches and tags of an image", tag="images",
        body=NoBody, query=NoQuery, answer=RefList,
    ),
    Endpoint(
        method="GET", path="/images/{name}/refs/log", handler=list_moves,
        summary="Show where a branch was", tag="images",
        body=NoBody, query=RefQuery, answer=MoveList,
    ),
    Endpoint(
        method="PUT", path="/images/{name}/refs", handler=make_ref,
        summary="Make a branch or a tag, or move a branch", tag="images",
        body=NewRef, query=NoQuery, answer=RefView,
        errors=(Conflict, BadImage, HostFailed), action="image.ref",
    ),
    Endpoint(
        method="DELETE", path="/images/{name}/refs", handler=delete_ref,
        summary="Delete a branch or a tag", tag="images",
        body=NoBody, query=RefQuery, status=204, errors=(Conflict,), action="image.ref",
    ),
    Endpoint(
        method="POST", path="/images/{name}/rollback", handler=roll_back,
        summary="Move a branch back, and desktops that start from it", tag="images",
        body=Rollback, query=NoQuery, answer=ImageView,
        errors=(Conflict, BadImage, HostFailed), action="image.rollback",
    ),
    Endpoint(
        method="POST", path="/images/{name}/commits", handler=commit_desktop,
        summary="Make a version of what a running desktop has changed", tag="images",
        body=DesktopChanges, query=NoQuery, answer=VersionView,
        errors=(Conflict, BadImage, HostFailed, NodeFull, Unavailable), action="image.commit",
    ),
    Endpoint(
        method="GET", path="/images/{name}/content", handler=read_content,
        summary="Download the root file system of a version as a tar", tag="images",
        body=NoBody, query=ContentQuery, answer=None,
        errors=(BadImage, HostFailed, NodeFull, Unavailable), answer_media=TAR,
    ),
)  # fmt: skip
