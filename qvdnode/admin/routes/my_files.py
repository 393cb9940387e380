"""/my/desktops/{id}/files, file and upload: files between a user's home and the user's browser."""

import contextlib
from datetime import datetime
from typing import Annotated, Final

from aiohttp import ClientError, web
from pydantic import Field

from qvdnode.admin.endpoint import (
    BYTES,
    AnswerModel,
    AnyEndpoint,
    ApiCall,
    Endpoint,
    Permission,
)
from qvdnode.admin.fields import UPLOAD_KEY
from qvdnode.admin.problem import BodyTooLarge
from qvdnode.admin.reading import NoBody, Query
from qvdnode.admin.routes.own_desktop import own_desktop
from qvdnode.model.errors import (
    Conflict,
    FarmError,
    Forbidden,
    HomeFull,
    HostFailed,
    Invalid,
    LeaseLost,
    NotFound,
    Throttled,
    TimedOut,
    Unavailable,
)
from qvdnode.model.home_files import PART_BYTES_MAX, FileKind, FilePart, Upload
from qvdnode.model.home_path import parts_of
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.session.access import Permission as DesktopPermission
from qvdnode.web.core.byte_range import attachment, wanted_range

PATH_MAX: Final = 400
"""Characters; with a name of NAME_MAX they fit into the first line of a request."""
NAME_MAX: Final = 255
SIZE_MAX: Final = 1 << 50
PART_LIMIT_S: Final = 120.0
"""Even a slow line sends a part in that time."""
Path = Annotated[str, Field(max_length=PATH_MAX)]


class FolderQuery(Query):
    """Which folder."""

    path: Path = Field(default="", description="Below the home; empty for the home itself.")


class FileQuery(Query):
    """Which file."""

    path: Path = Field(description="Below the home.")


class UploadQuery(Query):
    """A file to be, and which part of it this is."""

    folder: Path = ""
    name: Annotated[str, Field(max_length=NAME_MAX)]
    size: int = Field(ge=0, le=SIZE_MAX, description="Of the whole file, in bytes.")
    key: Annotated[str, UPLOAD_KEY.field()] = Field(
        description="The same for each attempt to send the same file."
    )
    replace: bool = Field(default=False, description="Whether to replace a file of that name.")
    offset: int = Field(
        default=0, ge=0, le=SIZE_MAX, description="Where in the file the body belongs."
    )

    def upload(self) -> Upload:
        """Return the same as a value of the model."""
        return Upload(self.folder, self.name, self.size, self.key, self.replace)


class FileView(AnswerModel):
    """One name in a folder."""

    name: str
    kind: FileKind
    size_bytes: int
    modified_at: datetime


class FileList(AnswerModel):
    """A folder of the home."""

    path: str
    items: list[FileView]
    is_cut: bool
    """Whether the folder has more than is listed."""
    free_bytes: int
    """What can still be written to the home."""
    may_upload: bool
    may_download: bool
    part_bytes_max: int
    """The most that one request to `upload` takes."""


class UploadView(AnswerModel):
    """How far an upload is."""

    received_bytes: int
    done: bool
    """Whether the file is in place."""


async def list_my_files(call: ApiCall[NoBody, FolderQuery]) -> FileList:
    """Return what is in a folder of the user's home."""
    permission, path = await own_desktop(call), call.query.path
    found = await call.parts.desktops.files.list(permission, path)
    policy = permission.order.flavour.files
    return FileList(
        path=path,
        items=[
            FileView(
                name=entry.name,
                kind=entry.kind,
                size_bytes=entry.size_bytes,
                modified_at=entry.modified_at,
            )
            for entry in found.entries
        ],
        is_cut=found.is_cut,
        free_bytes=found.free_bytes,
        may_upload=policy.into_desktop,
        may_download=policy.out_of_desktop,
        part_bytes_max=PART_BYTES_MAX,
    )


async def download_my_file(call: ApiCall[NoBody, FileQuery]) -> web.StreamResponse:
    """Send a file of the user's home, or the part of it that `Range` asks for."""
    permission, path, headers = await own_desktop(call), call.query.path, call.request.headers
    first = await call.parts.desktops.files.read(permission, path, 0, PART_BYTES_MAX)
    tag = f'"{first.version}"'
    # A file that was changed since the first part is sent anew.
    same = headers.get("If-Range", tag) == tag
    begin, end = wanted_range(headers.get("Range") if same else None, first.size_bytes)
    answer = web.StreamResponse(
        status=200 if end - begin == first.size_bytes else 206,
        headers={
            "Content-Type": BYTES,
            "Content-Disposition": attachment(parts_of(path)[-1]),
            "Content-Length": str(end - begin),
            "Accept-Ranges": "bytes",
            "ETag": tag,
        },
    )
    if answer.status == 206:
        answer.headers["Content-Range"] = f"bytes {begin}-{end - 1}/{first.size_bytes}"
    await answer.prepare(call.request)
    with contextlib.suppress(ConnectionError):  # the browser has left
        await _send(call, answer, permission, first, begin, end)
    return answer


async def _send(
    call: ApiCall[NoBody, FileQuery],
    answer: web.StreamResponse,
    permission: DesktopPermission,
    first: FilePart,
    begin: int,
    end: int,
) -> None:
    part, at = first, 0
    if begin:
        part, at = FilePart(b"", first.size_bytes, first.version), begin
    while at < end:
        if not part.content:
            part = await call.parts.desktops.files.read(
                permission, call.query.path, at, PART_BYTES_MAX
            )
        if part.version != first.version or not part.content:
            raise Conflict("The file was changed while it was sent.")
        await answer.write(part.content[: end - at])
        at += len(part.content)
        part = FilePart(b"", first.size_bytes, first.version)
    await answer.write_eof()


async def upload_my_file(call: ApiCall[NoBody, UploadQuery]) -> UploadView:
    """Take a part of a file into the user's home; an empty part asks how far it is.

    The file is in place once all of it has arrived. A part that does not continue what is there
    changes nothing, and the answer says where to go on.
    """
    permission = await own_desktop(call)
    content = await _content(call.request)
    query = call.query
    state = await call.parts.desktops.files.upload(
        permission, query.upload(), query.offset, content
    )
    return UploadView(received_bytes=state.received_bytes, done=state.done)


async def cancel_my_upload(call: ApiCall[NoBody, UploadQuery]) -> None:
    """Remove what has arrived of a file."""
    await call.parts.desktops.files.cancel(await own_desktop(call), call.query.upload())


async def _content(request: web.Request) -> bytes:
    content = bytearray()
    try:
        async with TimeLimit(PART_LIMIT_S):
            while piece := await request.content.readany():
                content += piece
                if len(content) > PART_BYTES_MAX:
                    raise BodyTooLarge(f"A part of a file has at most {PART_BYTES_MAX} bytes.")
    except TimeoutError as error:
        raise TimedOut(f"The part did not arrive within {PART_LIMIT_S:g} s.") from error
    except (web.HTTPException, ClientError, ConnectionError) as error:
        raise Invalid("The part broke off; send it again.", field="body") from error
    return bytes(content)


_ERRORS: Final[tuple[type[FarmError], ...]] = (
    Conflict,
    Forbidden,
    HomeFull,
    HostFailed,
    LeaseLost,
    NotFound,
    Throttled,
    TimedOut,
    Unavailable,
)

MY_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path="/desktops/{id}/files",
        handler=list_my_files,
        summary="List a folder of one's own home",
        tag="my",
        body=NoBody,
        query=FolderQuery,
        answer=FileList,
        errors=_ERRORS,
        permission=Permission.USER,
    ),
    Endpoint(
        method="GET",
        path="/desktops/{id}/file",
        handler=download_my_file,
        summary="Download a file of one's own home",
        tag="my",
        body=NoBody,
        query=FileQuery,
        other_statuses=(206,),
        errors=_ERRORS,
        permission=Permission.USER,
        answer_media=BYTES,
    ),
    Endpoint(
        method="PUT",
        path="/desktops/{id}/upload",
        handler=upload_my_file,
        summary="Upload a part of a file to one's own home",
        tag="my",
        body=NoBody,
        query=UploadQuery,
        answer=UploadView,
        errors=_ERRORS,
        permission=Permission.USER,
        body_media=(BYTES,),
    ),
    Endpoint(
        method="DELETE",
        path="/desktops/{id}/upload",
        handler=cancel_my_upload,
        summary="Remove what has arrived of an upload",
        tag="my",
        body=NoBody,
        query=UploadQuery,
        status=204,
        errors=_ERRORS,
        permission=Permission.USER,
    ),
)
