"""Looks up what an imported image has: locales, time zones, shells, programs.

The image's files are others': no link in it leads out of it, and nothing but plain files is read.
"""

import asyncio
import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from qvdnode.host import linux_calls
from qvdnode.image.core import locale_archive
from qvdnode.image.versions import ImageVersions
from qvdnode.model.errors import HostFailed
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import ImageId
from qvdnode.model.image_lack import Lacking, Wishes, wishes_of
from qvdnode.runtime.scarcity import EXHAUSTED

ARCHIVE: Final = "usr/lib/locale/locale-archive"
LOCALES: Final = "usr/lib/locale"
ZONES: Final = "usr/share/zoneinfo"
REMEMBERED_MAX: Final = 4096
_LOOK: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY


class ImageRoot:
    """The root of one version of an image, held open; a context manager. Every call blocks."""

    def __init__(self, root: Path) -> None:
        """Raises HostFailed when there is none."""
        self._root = root
        try:
            self._handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise HostFailed(f"the image at {root} cannot be read: {error.strerror}") from error

    def __enter__(self) -> "ImageRoot":
        """Open already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        os.close(self._handle)

    def has(self, path: str) -> bool:
        """Whether anything is there, through links inside of the image."""
        with self._open(path) as handle:
            return handle is not None

    def has_file(self, path: str, *, executable: bool = False) -> bool:
        """Whether a plain file is there, through links inside of the image."""
        with self._open(path) as handle:
            if handle is None:
                return False
            mode = os.fstat(handle).st_mode
            return stat.S_ISREG(mode) and (not executable or bool(mode & 0o111))

    def lacking(self, wishes: Wishes) -> Lacking:
        """Which of these the image lacks; raises HostFailed when it cannot be looked at now."""
        return Lacking(
            locale=not self._has_locale(locale_archive.filed_as(wishes.locale)),
            timezone=not self.has_file(f"{ZONES}/{wishes.timezone}"),
            shell=not self.has_file(wishes.shell.lstrip("/"), executable=True),
        )

    def _has_locale(self, name: str) -> bool:
        if name in locale_archive.BUILT_IN or name in self._archived():
            return True
        if name.startswith("."):
            return False
        with self._open(f"{LOCALES}/{name}") as handle:
            return handle is not None and stat.S_ISDIR(os.fstat(handle).st_mode)

    def _archived(self) -> set[str]:
        with self._open(ARCHIVE) as handle:
            if handle is None or not stat.S_ISREG(os.fstat(handle).st_mode):
                return set()
            table = locale_archive.table_of(os.pread(handle, locale_archive.HEADER.size, 0))
            if table is None:
                return set()
            offset, size = table
            names = locale_archive.name_offsets(os.pread(handle, size, offset))
            return {
                os.pread(handle, locale_archive.NAME_MAX, name)
                .partition(b"\0")[0]
                .decode("latin-1")
                for name in names
            }

    @contextlib.contextmanager
    def _open(self, path: str) -> Iterator[int | None]:
        try:
            handle = linux_calls.open_in_root(self._handle, path, _LOOK)
        except OSError as error:
            if error.errno in EXHAUSTED:
                raise HostFailed(f"{self._root / path} cannot be read: {error.strerror}") from error
            yield None
            return
        try:
            yield handle
        finally:
            os.close(handle)


class ImageContents:
    """What the images of one node lack of what flavours want; answers are remembered."""

    def __init__(self, versions: ImageVersions) -> None:
        self._versions = versions
        self._known: dict[tuple[ImageId, int, Wishes], Lacking] = {}

    async def lacking(self, image_id: ImageId, version: int, wishes: Wishes) -> Lacking:
        """Which of these a version lacks; nothing where this node has no such version.

        Raises HostFailed when it cannot be looked at now.
        """
        key = (image_id, version, wishes)
        if key not in self._known:
            found = await asyncio.to_thread(_lacking, self._versions, key)
            if found is None:
                return Lacking()
            if len(self._known) >= REMEMBERED_MAX:
                self._known.clear()
            self._known[key] = found
        return self._known[key]

    async def lacking_of(self, order: DesktopOrder) -> Lacking:
        """The same of the version that a desktop starts with."""
        flavour = order.flavour
        return await self.lacking(flavour.image_id, order.image_version, wishes_of(flavour))


def _lacking(versions: ImageVersions, key: tuple[ImageId, int, Wishes]) -> Lacking | None:
    image_id, version, wishes = key
    with versions.view(image_id, version) as root:
        if root is None:
            return None
        with ImageRoot(root) as image:
            return image.lacking(wishes)
