"""Imports images: unpacks to a staging folder, checks, and renames into place when complete.

imported = await importer.import_tar(chunks, "icewm")
await importer.place(imported, image_id, version)     # or importer.discard(imported)
"""

import asyncio
import json
import logging
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.host import process
from qvdnode.host.child import Child
from qvdnode.image import guest_folders, session_files
from qvdnode.image.collector import StoreCollector
from qvdnode.image.core import file_signatures
from qvdnode.image.core.refs import MAIN
from qvdnode.image.free_space import FreeSpaceFloor
from qvdnode.image.layout import STAGING_PREFIX, Layout
from qvdnode.image.paced_stream import paced
from qvdnode.image.settings import ImageSettings
from qvdnode.image.versions import ImageVersions, read_commit
from qvdnode.model.errors import BadImage, Conflict, FarmError, HostFailed, Throttled, TimedOut
from qvdnode.model.ids import ImageId
from qvdnode.runtime.clock import Clock, SystemClock
from qvdnode.runtime.first_error import first_farm_error
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.telemetry.metrics import Counter

log = logging.getLogger(__name__)

IMPORTS: Final = Counter("qvdnode_image_imports", "Imports of images by outcome.", ["outcome"])
REMOVED_PREFIX: Final = ".removed-"
MARKED: Final = "marked-for-removal"
"""File in an image's folder: its row is being deleted, or is gone already."""
AT_ONCE: Final = 2
_MIB: Final = 1024 * 1024

ImportProgress = Callable[[int], None]
"""Called with the number of bytes unpacked so far."""
Promised = Callable[[], Awaitable[int]]


def _unheard(_size_bytes: int) -> None:
    """Ignore progress."""


async def _nothing() -> int:
    """Promised space where no desktops run."""
    return 0


@dataclass(frozen=True, slots=True)
class Imported:
    """An image that is unpacked and checked, but not placed yet."""

    version_folder: Path
    size_bytes: int
    commit: str | None = None
    """The commit that it became."""


class Importer:
    """Imports, places and removes images; one for the node."""

    def __init__(
        self, settings: ImageSettings, promised: Promised = _nothing, clock: Clock | None = None
    ) -> None:
        """`promised` returns how many MiB must be left for desktops."""
        self._promised = promised
        self._settings = settings
        self._clock = clock or SystemClock()
        self._layout = Layout(settings.state_dir)
        self.versions = ImageVersions(settings, self._clock)
        """What imports become."""
        self.collector = StoreCollector(self.versions, self._clock)
        """Frees the space of what was removed; the node runs it."""
        self._floor = FreeSpaceFloor(settings.state_dir, settings.free_floor_mib)
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def import_tar(
        self,
        chunks: AsyncIterator[bytes],
        name: str,
        progress: ImportProgress = _unheard,
        *,
        note: str = "",
        add_session: bool = False,
        parent: str | None = None,
    ) -> Imported:
        """Unpack a tar stream (plain, gzip, xz or zstd) that holds a root file system.

        It becomes a commit of the image of that name, with the note as its message, after `parent`
        or else after the newest version of this node. With `add_session` our session files are put
        in, in place of any that are there.

        Raises BadImage with what is wrong with it, NodeFull, HostFailed, Throttled, TimedOut; then
        nothing is left. A sender that is silent or too slow keeps its turn no longer than
        `import_rate_window_s`.
        """
        limits = self._settings
        chunks = paced(
            chunks,
            kib_per_s_min=limits.import_rate_min_kib_s,
            window_s=limits.import_rate_window_s,
            clock=self._clock,
        )
        first = await anext(chunks, b"")
        options = ["--zstd"] if first.startswith(file_signatures.ZSTD) else []

        async def whole() -> AsyncIterator[bytes]:
            yield first
            async for chunk in chunks:
                yield chunk

        if parent is not None:
            options.append(f"--parent={parent}")
        arguments = [str(self._layout.store), name, note, *options]
        return await self._import(whole(), arguments, name, progress, add_session=add_session)

    async def place(
        self, imported: Imported, image_id: ImageId, version: int, branch: str = MAIN
    ) -> None:
        """Rename an imported image into place as a version, to which a branch moves.

        Raises Conflict if the version exists.
        """
        target = self._layout.image_root(image_id, version).parent
        await asyncio.to_thread(_place, imported.version_folder, target)
        try:
            await asyncio.to_thread(self.versions.add, target, version, branch)
        except FarmError:
            await asyncio.to_thread(target.rename, imported.version_folder)
            raise
        log.info("image_placed", extra={"image": image_id, "version": version})

    async def last_version(self, image_id: ImageId) -> int:
        """Return the greatest version on disk, or 0; a restored database may lack some."""
        return await asyncio.to_thread(self.versions.last_version, image_id)

    async def discard(self, imported: Imported) -> None:
        """Delete an imported image that was not placed; does nothing if it was."""
        await self._delete(imported.version_folder)
        self.collector.request()

    async def mark_removal(self, image_id: ImageId) -> None:
        """Mark an image for removal, so that it is finished after a crash.

        Raises Conflict while a guest runs on one of its versions, whatever its flavour says now.
        """
        folder = self._layout.images / str(image_id)
        leased = await asyncio.to_thread(self.versions.runs_on, image_id)
        if leased or await asyncio.to_thread(guest_folders.runs_from, self._layout, folder):
            raise Conflict("A desktop still runs on this image; stop it first.")
        await asyncio.to_thread(_mark, folder)

    async def unmark_removal(self, image_id: ImageId) -> None:
        """Undo `mark_removal`."""
        mark = self._layout.images / str(image_id) / MARKED
        await asyncio.to_thread(mark.unlink, missing_ok=True)

    async def remove(self, image_id: ImageId) -> None:
        """Delete every version of an image; safe to repeat.

        A version that a guest still uses stays in the store until a collection after the guest's
        end; one that is a plain folder is renamed, and a later `sweep` deletes it.
        """
        await asyncio.to_thread(self.versions.forget, image_id)
        folder = self._layout.images / str(image_id)
        aside = self._layout.images / f"{REMOVED_PREFIX}{secrets.token_hex(8)}"
        with suppress(FileNotFoundError):
            await asyncio.to_thread(folder.rename, aside)
        await self._delete_unused(aside)
        self.collector.request()

    async def finish_removals(self, exists: Callable[[ImageId], Awaitable[bool]]) -> None:
        """Remove marked images whose row is gone, and unmark the others."""
        for mark in await asyncio.to_thread(_marked, self._layout.images):
            image_id = ImageId(int(mark.parent.name))
            try:
                if await exists(image_id):
                    await self.unmark_removal(image_id)
                    continue
                await self.remove(image_id)
                log.info("image_removal_finished", extra={"image": image_id})
            except FarmError as error:
                log.warning("image_stays", extra={"image": image_id, "because": str(error)})

    async def sweep(self) -> list[str]:
        """Delete what imports and removals of an earlier process left, before the first import."""
        found = await asyncio.to_thread(_leftovers, self._layout.images)
        return [folder.name for folder in found if await self._delete_unused(folder)]

    async def _import(
        self,
        chunks: AsyncIterator[bytes],
        options: list[str],
        name: str,
        progress: ImportProgress,
        *,
        add_session: bool,
    ) -> Imported:
        staging = self._layout.images / f"{STAGING_PREFIX}{secrets.token_hex(8)}"
        done = False
        try:
            async with self._turn():
                promised_mib = await self._promised()
                await asyncio.to_thread(self._stage, staging, promised_mib)
                if add_session:
                    guard = await session_files.build_guard(staging)
                    options = [*options, f"{session_files.OPTION}{guard}"]
                floor_mib = self._settings.free_floor_mib + promised_mib
                arguments = [str(floor_mib), *options]
                size_bytes = await self._unpack(staging / "rootfs", chunks, arguments, progress)
            await asyncio.to_thread(session_files.remove_guard, staging)
            made = await asyncio.to_thread(read_commit, staging)
            done = True
        except FarmError as error:
            IMPORTS.labels(error.code).inc()
            raise
        finally:
            if not done:
                await self._delete(staging)
                self.collector.request()
        IMPORTS.labels("done").inc()
        log.info("image_imported", extra={"image": name, "size_bytes": size_bytes})
        return Imported(staging, size_bytes, None if made is None else made.commit)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait for one of the import slots; raises Throttled after `import_wait_s`."""
        wait_s = self._settings.import_wait_s
        try:
            async with TimeLimit(wait_s):
                await self._slots.acquire()
        except TimeoutError as error:
            raise Throttled(
                f"{AT_ONCE} other images are still being taken in after {wait_s:g} s;"
                " send this one again when they are done.",
                retry_after_s=wait_s,
            ) from error
        try:
            yield
        finally:
            self._slots.release()

    def _stage(self, staging: Path, promised_mib: int) -> None:
        self._floor.require("the import of an image", promised_mib)
        try:
            (staging / "rootfs").mkdir(parents=True)
            staging.chmod(0o700)
            (staging / "rootfs").chmod(0o755)
        except OSError as error:
            raise HostFailed(f"{staging} cannot be made: {error.strerror}") from error

    async def _unpack(
        self,
        root: Path,
        chunks: AsyncIterator[bytes],
        arguments: list[str],
        progress: ImportProgress,
    ) -> int:
        limits = self._settings
        child = await process.spawn_piped(
            [
                sys.executable, "-m", "qvdnode.image.unpack", root, str(limits.import_max_entries),
                str(limits.import_max_mib * _MIB), *arguments,
            ]
        )  # fmt: skip
        try:
            async with TimeLimit(limits.import_limit_s):
                return await _talk(child, chunks, progress)
        except TimeoutError as error:
            raise TimedOut(f"the import took over {limits.import_limit_s:g} s") from error
        finally:
            await process.end(child, grace_s=0)

    async def _delete_unused(self, folder: Path) -> bool:
        if await asyncio.to_thread(guest_folders.runs_from, self._layout, folder):
            log.warning("image_still_used", extra={"folder": folder.name})
            return False
        await self._delete(folder)
        return True

    async def _delete(self, folder: Path) -> None:
        if await asyncio.to_thread(folder.exists):
            await guest_folders.delete_tree(folder)


async def _talk(child: Child, chunks: AsyncIterator[bytes], progress: ImportProgress) -> int:
    """Send the stream to the child and read its answers; returns the bytes it unpacked."""
    try:
        async with asyncio.TaskGroup() as group:
            said = group.create_task(_words(child))
            answer = group.create_task(_answer(child, progress))
            await _feed(child, chunks, answer, group)
    except BaseExceptionGroup as failed:
        expected = first_farm_error(failed)
        if expected is None:
            raise
        raise expected from failed
    told = answer.result()
    if "done" in told:
        return int(str(told["done"]))
    if "refused" in told:
        raise BadImage(str(told["refused"]))
    raise HostFailed(str(told.get("failed") or f"the import broke down: {said.result()[-400:]}"))


async def _feed(
    child: Child,
    chunks: AsyncIterator[bytes],
    answer: asyncio.Task[dict[str, object]],
    group: asyncio.TaskGroup,
) -> None:
    if child.stdin is None:
        return
    with suppress(BrokenPipeError, ConnectionResetError):
        while True:
            coming = group.create_task(_next(chunks))
            # A child that has given its final answer reads no more.
            await asyncio.wait((coming, answer), return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                coming.cancel()
                break
            if not (chunk := coming.result()):
                break
            child.stdin.write(chunk)
            await child.stdin.drain()
    child.stdin.close()
    with suppress(BrokenPipeError, ConnectionResetError):
        await child.stdin.wait_closed()


async def _next(chunks: AsyncIterator[bytes]) -> bytes:
    """Return the next chunk that is not empty, or an empty one at the end."""
    async for chunk in chunks:
        if chunk:
            return chunk
    return b""


async def _answer(child: Child, progress: ImportProgress) -> dict[str, object]:
    told: dict[str, object] = {}
    if child.stdout is not None:
        async for line in child.stdout:
            told = json.loads(line)
            if "bytes" in told:
                progress(int(str(told["bytes"])))
    return told


async def _words(child: Child) -> str:
    if child.stderr is None:
        return ""
    return (await child.stderr.read()).decode(errors="replace")


def _place(staging: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    target.parent.chmod(0o700)
    if target.exists():
        raise Conflict(f"{target} exists already")
    try:
        staging.rename(target)
    except OSError as error:
        raise HostFailed(f"{target} cannot be made: {error.strerror}") from error


def _mark(folder: Path) -> None:
    # An image that was never placed has no folder and needs no mark.
    with suppress(FileNotFoundError):
        (folder / MARKED).touch()


def _marked(images: Path) -> list[Path]:
    return [mark for mark in sorted(images.glob(f"*/{MARKED}")) if mark.parent.name.isdecimal()]


def _leftovers(images: Path) -> list[Path]:
    prefixes = (STAGING_PREFIX, REMOVED_PREFIX)
    return [path for path in sorted(images.glob(".*")) if path.name.startswith(prefixes)]
