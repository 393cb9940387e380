"""Sends a root file system to the farm: a folder, a tar, an OCI image of a file or registry."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from qvdnode.cli.api_answers import Json
from qvdnode.cli.api_client import ApiClient
from qvdnode.cli.image_tar import require_session, size_of, tar_of
from qvdnode.cli.qvd.api_session import with_api
from qvdnode.host import process
from qvdnode.image.oci_layers import flattened, of_docker_archive, of_layout
from qvdnode.model.errors import BadImage, HostFailed

OCI: Final = "oci:"
DOCKER_ARCHIVE: Final = "docker-archive:"
DOCKER: Final = "docker://"
COPY_LIMIT_S: Final = 3600.0
FETCHED_TAG: Final = "fetched"


def sent(image: str, source: str, options: Mapping[str, object], *, tls: bool = True) -> Json:
    """Send it, with a progress bar on a terminal; returns the new version."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True),
        TimeElapsedColumn(),
    )  # fmt: skip
    stderr = Console(stderr=True)
    shown = stderr.is_terminal
    plain = not source.startswith((OCI, DOCKER_ARCHIVE, DOCKER))
    with Progress(*columns, console=stderr, transient=True, disable=not shown) as bar:
        total = size_of(Path(source)) if shown and plain else None
        task = bar.add_task(f"importing {image}", total=total)

        async def work(api: ApiClient) -> Json:
            async with _tar(source, options, tls=tls) as content:
                return await api.import_image(
                    image,
                    content,
                    progress=lambda taken: bar.update(task, completed=taken),
                    **options,
                )

        return with_api(work)


@asynccontextmanager
async def _tar(
    source: str, options: Mapping[str, object], *, tls: bool
) -> AsyncIterator[AsyncIterator[bytes]]:
    if source.startswith(DOCKER):
        with tempfile.TemporaryDirectory(prefix="qvd-registry-") as folder:
            layout = Path(folder) / "layout"
            await _copied(source, layout, tls=tls)
            yield _in_threads(flattened(of_layout(layout, FETCHED_TAG)))
    elif source.startswith(OCI):
        path, tag = _path_and_tag(source.removeprefix(OCI))
        yield _in_threads(flattened(await asyncio.to_thread(of_layout, path, tag)))
    elif source.startswith(DOCKER_ARCHIVE):
        path, tag = _path_and_tag(source.removeprefix(DOCKER_ARCHIVE))
        with of_docker_archive(path, tag) as layers:
            yield _in_threads(flattened(layers))
    else:
        content = tar_of(Path(source))
        await require_session(Path(source), add=bool(options.get("add_session")))
        yield content


async def _copied(source: str, layout: Path, *, tls: bool) -> None:
    """Fetch an image from a registry; skopeo knows credentials, mirrors and certificates."""
    if shutil.which("skopeo") is None:
        raise HostFailed("skopeo is missing, which fetches images from registries: install it.")
    check = "true" if tls else "false"
    done = await process.run(
        ["skopeo", "copy", "--quiet", f"--src-tls-verify={check}", source,
         f"oci:{layout}:{FETCHED_TAG}"],
        limit_s=COPY_LIMIT_S, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise BadImage(f"{source} cannot be fetched: {' '.join(last)[-400:]}")


def _path_and_tag(text: str) -> tuple[Path, str | None]:
    """As skopeo writes it: PATH or PATH:TAG, which may have colons of its own."""
    if Path(text).exists():
        return Path(text), None
    path, _, tag = text.partition(":")
    return Path(path), tag or None


async def _in_threads(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    waiting = bytearray()
    while (piece := await asyncio.to_thread(_some, pieces, waiting)) is not None:
        yield piece


PIECE_BYTES: Final = 256 * 1024


def _some(pieces: Iterator[bytes], waiting: bytearray) -> bytes | None:
    for piece in pieces:
        waiting += piece
        if len(waiting) >= PIECE_BYTES:
            break
    if not waiting:
        return None
    found = bytes(waiting)
    waiting.clear()
    return found
