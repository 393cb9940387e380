"""/users/{id}/home: snapshots of a user's home, and files brought back from them."""

from datetime import datetime
from typing import Final

from pydantic import Field

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, ApiCall, B, Endpoint, Permission, Q
from qvdnode.admin.fields import HOME_PATH, PAST
from qvdnode.admin.reading import NoBody, NoQuery, Query, RequestBody
from qvdnode.image.home_snapshots import HomeHistory
from qvdnode.model.errors import Conflict, HostFailed, NodeFull
from qvdnode.model.farm import User
from qvdnode.model.ids import UserId

PATH: Final = Field(
    default="",
    pattern=HOME_PATH.pattern,
    description="A file or folder, relative to the home; empty for all of it.",
)
AT: Final = Field(
    default="",
    pattern=PAST.pattern,
    description=f"Must be {PAST.meaning}. The last snapshot that is not later is taken; empty for"
    " the newest.",
)


class PathQuery(Query):
    """Which part of the home."""

    path: str = PATH
    limit: int = Field(default=100, ge=0, le=3_000, description="At most so many, the newest.")


class WantedFiles(RequestBody):
    """What to bring back, and from when."""

    path: str = PATH
    at: str = AT


class SnapshotView(AnswerModel):
    """One snapshot of a home, or of the path that was asked for."""

    name: str
    at: datetime
    files: int
    size_bytes: int
    """Size of all files; on the disk each content is stored once."""


class HomeHistoryView(AnswerModel):
    """The snapshots of a home."""

    items: list[SnapshotView]
    """Newest first; of a path only those that differ from the one before."""
    disk_bytes: int
    """What all snapshots of the home take of the disk."""
    working: str
    """What is being done now, for people; empty for nothing."""


class TakenView(AnswerModel):
    """A snapshot that was made."""

    files: int
    read_bytes: int
    """Bytes of new and changed files."""
    left_out: list[str]
    """What could not be saved, or was written meanwhile, for people."""


class RestoredView(AnswerModel):
    """Files that were brought back."""

    folder: str
    """The new folder in the home that they are in."""


async def show_home_log(call: ApiCall[NoBody, PathQuery]) -> HomeHistoryView:
    """Return the snapshots of a user's home; raises Conflict when it is on another node."""
    user = await _user_here(call)
    return await _history(call, user)


async def take_home_snapshot(call: ApiCall[NoBody, NoQuery]) -> TakenView:
    """Make a snapshot now; answers when it is made. Desktops go on meanwhile."""
    user = await _user_here(call)
    saved = await call.parts.homes.take(user.id)
    call.changed("user", user.id, login=user.login, tenant=user.tenant)
    return TakenView(files=saved.files, read_bytes=saved.read_bytes, left_out=list(saved.left_out))


async def restore_home_files(call: ApiCall[WantedFiles, NoQuery]) -> RestoredView:
    """Bring files back into a new folder of the home; nothing that is there is changed."""
    user = await _user_here(call)
    wanted = call.body
    folder = await call.parts.homes.restore(user.id, wanted.path, wanted.at)
    call.changed("user", user.id, login=user.login, tenant=user.tenant, folder=folder)
    return RestoredView(folder=folder)


async def show_my_home_log(call: ApiCall[NoBody, PathQuery]) -> HomeHistoryView:
    """Return the snapshots of one's own home."""
    user = await _require_here(call, call.user().user_id)
    return await _history(call, user)


async def restore_my_home_files(call: ApiCall[WantedFiles, NoQuery]) -> RestoredView:
    """Bring files back into a new folder of one's own home."""
    user = await _require_here(call, call.user().user_id)
    folder = await call.parts.homes.restore(user.id, call.body.path, call.body.at)
    return RestoredView(folder=folder)


def view(history: HomeHistory) -> HomeHistoryView:
    """Return the view of a home's snapshots."""
    return HomeHistoryView(
        items=[
            SnapshotView(name=one.name, at=one.at, files=one.files, size_bytes=one.size_bytes)
            for one in history.snapshots
        ],
        disk_bytes=history.size_bytes,
        working=history.working,
    )


async def _history(call: ApiCall[NoBody, PathQuery], user: User) -> HomeHistoryView:
    query = call.query
    return view(await call.parts.homes.history(user.id, query.path, query.limit))


async def _user_here(call: ApiCall[B, Q]) -> User:
    return await _require_here(call, UserId(call.id()))


async def _require_here(call: ApiCall[B, Q], user_id: UserId) -> User:
    parts = call.parts
    user = await parts.accounts.users.get(user_id)
    node_id = user.home_node
    if node_id is not None and not parts.homes.shared and not parts.farm.facts(node_id).here:
        name = (await parts.nodes.names([node_id])).get(node_id, str(node_id))
        raise Conflict(f"The home of {user.login} is on node {name}: ask that node.")
    return user


_ERRORS: Final = (Conflict, HostFailed, NodeFull)

ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path="/users/{id}/home/snapshots",
        handler=show_home_log,
        summary="List the snapshots of a user's home",
        tag="users",
        body=NoBody,
        query=PathQuery,
        answer=HomeHistoryView,
        errors=_ERRORS,
    ),
    Endpoint(
        method="POST",
        path="/users/{id}/home/snapshots",
        handler=take_home_snapshot,
        summary="Make a snapshot of a user's home",
        tag="users",
        body=NoBody,
        query=NoQuery,
        answer=TakenView,
        status=201,
        errors=_ERRORS,
        action="home.snapshot",
    ),
    Endpoint(
        method="POST",
        path="/users/{id}/home/restore",
        handler=restore_home_files,
        summary="Bring files back into a new folder of a user's home",
        tag="users",
        body=WantedFiles,
        query=NoQuery,
        answer=RestoredView,
        status=201,
        errors=_ERRORS,
        action="home.restore",
    ),
)
MY_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path="/home/snapshots",
        handler=show_my_home_log,
        summary="List the snapshots of one's own home",
        tag="my",
        body=NoBody,
        query=PathQuery,
        answer=HomeHistoryView,
        errors=_ERRORS,
        permission=Permission.USER,
    ),
    Endpoint(
        method="POST",
        path="/home/restore",
        handler=restore_my_home_files,
        summary="Bring files back into a new folder of one's own home",
        tag="my",
        body=WantedFiles,
        query=NoQuery,
        answer=RestoredView,
        status=201,
        errors=_ERRORS,
        permission=Permission.USER,
    ),
)
