"""POST /images/{name}/versions: imports a root file system from a tar stream.

The answer is a stream too, with one JSON object per line: `{"progress": BYTES}` several times, then
`{"version": ...}` or `{"problem": ...}`. The status line is sent before the outcome is known, so
only the last line says whether the import succeeded.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import ClientError, web
from pydantic import Field

from qvdnode.admin.endpoint import BYTES, NDJSON, TAR, AnswerModel, AnyEndpoint, ApiCall, Endpoint
from qvdnode.admin.fields import Note
from qvdnode.admin.problem import Problem, problem_of
from qvdnode.admin.reading import NoBody, Query
from qvdnode.admin.routes.images import VersionView, version_view
from qvdnode.db.image_refs import RefMove, RefName
from qvdnode.db.images import Images, NewCommit
from qvdnode.image.core.refs import MAIN
from qvdnode.model.errors import (
    BadImage,
    Conflict,
    FarmError,
    HostFailed,
    NotFound,
    Throttled,
    TimedOut,
)
from qvdnode.model.farm import Image
from qvdnode.runtime.rollback import Rollback

log = logging.getLogger(__name__)

BRANCH: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

CHUNK_BYTES: Final = 256 * 1024
PROGRESS_STEP_BYTES: Final = 4 * 1024 * 1024
"""One progress line per so many bytes: often enough for a progress bar."""


class ImportQuery(Query):
    """A note to store with the version."""

    note: Note = ""
    branch: str = Field(
        default=MAIN,
        pattern=BRANCH,
        description="The branch that moves to the new version; a new one begins at main.",
    )
    head: bool = Field(default=True, description="Let desktops start with it from now on.")
    add_session: bool = Field(
        default=False,
        description="Put the node's own session script in, in place of one that is there.",
    )


class ImportLine(AnswerModel):
    """One line of the answer; exactly one field is set."""

    progress: int | None = None
    """Bytes received so far."""
    version: VersionView | None = None
    problem: Problem | None = None


class TarBody:
    """The request's body in chunks; it writes progress lines."""

    def __init__(self, request: web.Request, lines: "Lines") -> None:
        self._request = request
        self._lines = lines
        self._taken = 0
        self._told = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        """Iterate over the body; raises BadImage if the connection ends before the body does.

        The importer limits how slow the body may be.
        """
        try:
            while chunk := await self._request.content.read(CHUNK_BYTES):
                self._taken += len(chunk)
                yield chunk
                if self._taken - self._told >= PROGRESS_STEP_BYTES:
                    self._told = self._taken
                    await self._lines.write(ImportLine(progress=self._taken))
        except (web.HTTPException, ClientError, ConnectionError) as error:
            raise BadImage("The stream broke off; send it again.") from error


class Lines:
    """Writes the lines of the answer."""

    def __init__(self, response: web.StreamResponse) -> None:
        self._response = response

    async def write(self, line: ImportLine) -> None:
        """Send one line."""
        await self._response.write(line.model_dump_json(exclude_none=True).encode() + b"\n")


async def import_version(call: ApiCall[NoBody, ImportQuery]) -> web.StreamResponse:
    """Import a tar as a new version, the head by default; keep nothing of a failed import."""
    name = call.name()
    response = web.StreamResponse(headers={"Content-Type": NDJSON})
    await response.prepare(call.request)
    lines = Lines(response)
    try:
        version = await _import(call, name, TarBody(call.request, lines))
    except FarmError as error:
        log.warning("image_refused", extra={"image": name, "because": str(error)})
        await lines.write(ImportLine(problem=problem_of(error)))
    else:
        await lines.write(ImportLine(version=version))
    await response.write_eof()
    return response


async def _import(call: ApiCall[NoBody, ImportQuery], name: str, body: TarBody) -> VersionView:
    images, importer = call.parts.catalogue.images, call.parts.catalogue.importer
    async with Rollback() as rollback:
        image = await _image(images, name, rollback)
        refs, branch = call.parts.catalogue.refs, RefName(call.query.branch)
        parent = await refs.get(image.id, branch)
        imported = await importer.import_tar(
            body.chunks(),
            image.name,
            note=call.query.note,
            add_session=call.query.add_session,
            parent=parent or await refs.get(image.id, RefName(MAIN)),
        )
        rollback.undo(lambda: importer.discard(imported))
        number = await images.add_version(
            image.id,
            size_bytes=imported.size_bytes,
            note=call.query.note,
            past=await importer.last_version(image.id),
            made=await _made(call, imported.commit, parent),
        )
        rollback.undo(lambda: images.remove_version(image.id, number))
        await importer.place(imported, image.id, number, branch.name)
        rollback.commit()
    # The version exists from here on. If making it the head fails now, that can be done later.
    call.changed("image", image.id, name=image.name, version=number, note=call.query.note)
    if call.query.head and not await images.set_imported_head(image.id, number):
        log.info("head_held_by_rollout", extra={"image": image.name, "version": number})
    versions = await images.versions(image.id)
    return next(version_view(item) for item in versions if item.version == number)


async def _made(
    call: ApiCall[NoBody, ImportQuery], commit: str | None, before: str | None
) -> NewCommit | None:
    """The commit of an import, with the move of the branch to it.

    One that desktops shall start with moves the branch wherever that is by now.
    """
    if commit is None:
        return None
    versions = call.parts.catalogue.importer.versions
    lineage = await asyncio.to_thread(versions.lineage, commit)
    query = call.query
    move = RefMove(
        RefName(query.branch),
        commit,
        call.administrator().name,
        query.note or "import",
        old=before,
        anywhere=query.head,
    )
    return NewCommit(lineage, move)


async def _image(images: Images, name: str, rollback: Rollback) -> Image:
    """Return the image of that name; create a missing one, and undo that if the import fails."""
    try:
        return await images.by_name(name)
    except NotFound:
        image = await images.create(name)
        rollback.undo(lambda: images.delete(image.id))
        return image


ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="POST",
        path="/images/{name}/versions",
        handler=import_version,
        summary="Import a root file system as a new version",
        tag="images",
        body=NoBody,
        query=ImportQuery,
        answer=ImportLine,
        errors=(BadImage, Conflict, HostFailed, Throttled, TimedOut),
        action="image.import",
        body_media=(TAR, BYTES),
        answer_media=NDJSON,
    ),
)
