"""The history of images: its log, what differs, and the store of the answering node."""

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import Final

from pydantic import Field

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, ApiCall, Endpoint
from qvdnode.admin.reading import NoBody, NoQuery, Query
from qvdnode.image.core.image_diff import PackageChange, PathChange, summary
from qvdnode.image.core.manifest import escape
from qvdnode.image.store.history import History, LogEntry
from qvdnode.image.store.usage import Usage, usage
from qvdnode.image.versions import ImageVersions
from qvdnode.model.errors import BadImage, HostFailed, NotFound

PATHS_MAX: Final = 10_000
LOG_MAX: Final = 1_000
Revision: Final = Field(
    default="",
    max_length=160,
    description="A version's number, a branch, a tag or a commit, as docs/images.md says.",
)


class CommitView(AnswerModel):
    """One commit."""

    commit: str
    parents: list[str]
    made_at: datetime
    author: str
    message: str
    size_bytes: int
    refs: list[str]


class CommitList(AnswerModel):
    """Commits, newest first."""

    items: list[CommitView]


class PathView(AnswerModel):
    """A path that differs."""

    path: str
    """Bytes that are not plain ASCII as %XX."""
    change: str
    """A: added, D: deleted, M: modified, T: of another type."""
    aspects: list[str]
    grown_bytes: int


class PackageView(AnswerModel):
    """A Debian package that differs; null where it is not installed."""

    package: str
    old: str | None
    new: str | None


class DiffView(AnswerModel):
    """What differs between two commits."""

    old: str | None
    new: str
    added: int
    modified: int
    deleted: int
    grown_bytes: int
    paths: list[PathView]
    """The first of them, at most `limit`."""
    packages: list[PackageView]


class StoreView(AnswerModel):
    """The store of images of the answering node."""

    mounts: str
    """How versions are mounted: `erofs`, or `checkout` on older kernels."""
    reason: str | None
    """Why not `erofs`."""
    commits: int
    objects: int
    content_bytes: int
    metadata_bytes: int
    checkout_bytes: int
    quarantine_bytes: int
    mounted: int
    guests: int
    """Desktops on this node, by what they run on."""


class LogQuery(Query):
    """Where to begin, and how many."""

    revision: str = Revision
    limit: int = Field(default=100, ge=1, le=LOG_MAX)


class DiffQuery(Query):
    """What to compare: by default the branch main with the commit before it."""

    old: str = Revision
    new: str = Revision
    limit: int = Field(default=1_000, ge=0, le=PATHS_MAX)


async def list_commits(call: ApiCall[NoBody, LogQuery]) -> CommitList:
    """Return a commit and those before it, as the farm knows them or else this node."""
    catalogue = call.parts.catalogue
    with suppress(NotFound):
        image = await catalogue.images.by_name(call.name())
        found = await catalogue.farm.log(image, call.query.revision, call.query.limit)
        return CommitList(
            items=[commit_view(LogEntry(one.name, one.commit, tuple(one.names))) for one in found]
        )
    versions = await _versions(catalogue.importer.versions)
    start = revision_of(call.name(), call.query.revision)
    history = History(versions.store, versions.branches)
    entries = await asyncio.to_thread(history.log, start, call.query.limit)
    return CommitList(items=[commit_view(entry) for entry in entries])


async def show_diff(call: ApiCall[NoBody, DiffQuery]) -> DiffView:
    """Return what differs between two commits."""
    query = call.query
    new = await _fetched(call, query.new)
    wanted = (await _fetched(call, query.old), new) if query.old else (new, None)
    if not query.old:
        await _fetched(call, f"{query.new}~")
    versions = await _versions(call.parts.catalogue.importer.versions)
    return await asyncio.to_thread(
        _compared, History(versions.store, versions.branches), wanted, query.limit
    )


async def show_store(call: ApiCall[NoBody, NoQuery]) -> StoreView:
    """Return what the store takes, and how versions are mounted."""
    return await asyncio.to_thread(_store_view, call.parts.catalogue.importer.versions)


async def _fetched(call: ApiCall[NoBody, DiffQuery], revision: str) -> str:
    """A revision as this node's store has it, fetched from another node if need be."""
    catalogue = call.parts.catalogue
    with suppress(NotFound):
        image = await catalogue.images.by_name(call.name())
        commit = await catalogue.farm.resolve(image, revision)
        await catalogue.farm.bring(image, commit)
        return commit
    return revision_of(call.name(), revision)


def revision_of(image: str, text: str) -> str:
    """A revision, where a number is a version of the image and nothing is its branch main."""
    if not text:
        return image
    return f"{image}:{text}" if text.isdecimal() else text


def commit_view(entry: LogEntry) -> CommitView:
    """Return the view of a commit."""
    commit = entry.commit
    return CommitView(
        commit=entry.name,
        parents=list(commit.parents),
        made_at=commit.at,
        author=commit.author,
        message=commit.message,
        size_bytes=commit.size_bytes,
        refs=list(entry.refs),
    )


async def _versions(versions: ImageVersions) -> ImageVersions:
    if not await asyncio.to_thread(versions.store.exists):
        raise NotFound("The node that answers has no image with a history yet: import one.")
    return versions


def _compared(history: History, wanted: tuple[str, str | None], limit: int) -> DiffView:
    old, new = history.pair(*wanted)
    changes = history.diff(old, new)
    counts = summary(changes)
    return DiffView(
        old=old,
        new=new,
        added=counts["added"],
        modified=counts["modified"],
        deleted=counts["deleted"],
        grown_bytes=counts["grown_bytes"],
        paths=[_path_view(change) for change in changes[:limit]],
        packages=[_package_view(change) for change in history.package_diff(old, new)],
    )


def _path_view(change: PathChange) -> PathView:
    return PathView(
        path=escape(change.path),
        change=change.change.value,
        aspects=list(change.aspects),
        grown_bytes=change.grown_bytes,
    )


def _package_view(change: PackageChange) -> PackageView:
    return PackageView(package=change.package, old=change.old, new=change.new)


def _store_view(versions: ImageVersions) -> StoreView:
    capability = versions.mounts.capability()
    used: Usage = usage(versions.store)
    return StoreView(
        mounts=capability.mode.value,
        reason=capability.because or None,
        commits=used.commits,
        objects=used.objects,
        content_bytes=used.object_bytes,
        metadata_bytes=used.metadata_bytes,
        checkout_bytes=used.checkout_bytes,
        quarantine_bytes=used.quarantine_bytes,
        mounted=len(versions.mounts.mounted()),
        guests=len(versions.leases()),
    )


ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path="/images/{name}/log",
        handler=list_commits,
        summary="Show the commits of an image",
        tag="images",
        body=NoBody,
        query=LogQuery,
        answer=CommitList,
        errors=(HostFailed, BadImage),
    ),
    Endpoint(
        method="GET",
        path="/images/{name}/diff",
        handler=show_diff,
        summary="Show what differs between two commits: paths and packages",
        tag="images",
        body=NoBody,
        query=DiffQuery,
        answer=DiffView,
        errors=(HostFailed, BadImage),
    ),
    Endpoint(
        method="GET",
        path="/node/images",
        handler=show_store,
        summary="Show the store of images of the answering node",
        tag="nodes",
        body=NoBody,
        query=NoQuery,
        answer=StoreView,
        errors=(HostFailed,),
    ),
)
