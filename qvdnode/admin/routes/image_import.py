"""POST /images/{name}/versions: a root file system comes in as a tar stream.

The answer is a stream too: one JSON object a line, `{"progress": BYTES}` while it goes on, then
`{"version": ...}` or `{"problem": ...}`. The status line is sent before the outcome is known, so
the last line is what counts.
"""

import logging
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import ClientError, web
from pydantic import Field

from qvdnode.admin.endpoint import BYTES, NDJSON, TAR, AnswerModel, AnyEndpoint, Asked, Endpoint
from qvdnode.admin.fields import Note
from qvdnode.admin.problem import Problem, problem_of
from qvdnode.admin.reading import NoBody, Query
from qvdnode.admin.routes.images import VersionView, version_view
from qvdnode.db.images import Images
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

CHUNK_BYTES: Final = 256 * 1024
PROGRESS_STEP_BYTES: Final = 4 * 1024 * 1024
"""A line per so many bytes: a progress bar moves, and the answer stays small."""


class ImportQuery(Query):
    """What to remember about the version."""

    note: Note = ""
    add_session: bool = Field(
        default=False,
        description="Put the node's own session script in, in place of one that is there.",
    )


class ImportLine(AnswerModel):
    """One line of the answer; exactly one field is there."""

    progress: int | None = None
    """Bytes taken in so far."""
    version: VersionView | None = None
    problem: Problem | None = None


class TarBody:
    """The request's body in chunks, and how much of it has come."""

    def __init__(self, request: web.Request, lines: "Lines") -> None:
        self._request = request
        self._lines = lines
        self._taken = 0
        self._told = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body; raises BadImage when it breaks off. How slow it may be is the importer's."""
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
    """The answer, a line at a time."""

    def __init__(self, response: web.StreamResponse) -> None:
        self._response = response

    async def write(self, line: ImportLine) -> None:
        """Send one line."""
        await self._response.write(line.model_dump_json(exclude_none=True).encode() + b"\n")


async def import_version(asked: Asked[NoBody, ImportQuery]) -> web.StreamResponse:
    """Take a tar in as a new version, which starts from then on; all of it is kept, or nothing."""
    name = asked.name()
    response = web.StreamResponse(headers={"Content-Type": NDJSON})
    await response.prepare(asked.request)
    lines = Lines(response)
    try:
        version = await _import(asked, name, TarBody(asked.request, lines))
    except FarmError as error:
        log.warning("image_refused", extra={"image": name, "because": str(error)})
        await lines.write(ImportLine(problem=problem_of(error)))
    else:
        await lines.write(ImportLine(version=version))
    await response.write_eof()
    return response


async def _import(asked: Asked[NoBody, ImportQuery], name: str, body: TarBody) -> VersionView:
    images, importer = asked.parts.catalogue.images, asked.parts.catalogue.importer
    async with Rollback() as rollback:
        image = await _image(images, name, rollback)
        imported = await importer.import_tar(
            body.chunks(), image.name, add_session=asked.query.add_session
        )
        rollback.undo(lambda: importer.discard(imported))
        number = await images.add_version(
            image.id,
            size_bytes=imported.size_bytes,
            note=asked.query.note,
            past=await importer.last_version(image.id),
        )
        rollback.undo(lambda: images.remove_version(image.id, number))
        await importer.place(imported, image.id, number)
        rollback.commit()
    # From here on the version is there; if it cannot be made the head now, it can be later.
    asked.changed("image", image.id, name=image.name, version=number, note=asked.query.note)
    await images.set_head(image.id, number)
    versions = await images.versions(image.id)
    return next(version_view(item) for item in versions if item.version == number)


async def _image(images: Images, name: str, rollback: Rollback) -> Image:
    """The image of that name, made if there is none; unmade again when the import fails."""
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
        summary="Bring a root file system in as a new version",
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
