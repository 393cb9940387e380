"""Limits the size of folders, by project quota or by a loop-mounted file.

Both make a private folder owned by root; the caller uses folders inside it.
"""

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from qvdnode.host import loop_files, project_quota
from qvdnode.image.settings import ImageSettings, SizeLimits
from qvdnode.model.errors import HostFailed, NodeFull

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LimitedFolder:
    """One folder with a size limit, described for both ways."""

    folder: Path
    file: Path
    """Path of the loop file, if there is one."""
    project: int
    """The project id, for quota."""
    size_mib: int
    kept: bool
    """Whether it is kept after use: true for homes, false for roots."""


class SizeLimit(Protocol):
    """A way of limiting the size of folders."""

    async def open(self, wanted: LimitedFolder) -> None:
        """Make the folder usable, with what it held before if it is kept; raises HostFailed."""
        ...

    async def block_writes(self, wanted: LimitedFolder) -> None:
        """Block writes until it is opened again; raises HostFailed.

        Writers get errors. Does nothing if it is not open.
        """
        ...


@dataclass(frozen=True, slots=True)
class LoopLimit:
    """A file system in a file, mounted at the folder."""

    preallocate: bool = False
    """Whether the file has all its blocks; it is sparse otherwise."""
    floor_mib: int = 0
    """Free space to leave when blocks are allocated."""

    async def open(self, wanted: LimitedFolder) -> None:
        """Make, repair or grow the file as needed, and mount it."""
        await asyncio.to_thread(_private_folder, wanted.folder)
        fresh = not await asyncio.to_thread(wanted.file.exists)
        if fresh:
            await loop_files.make(wanted.file, wanted.size_mib, journal=wanted.kept)
        async with loop_files.settled(wanted.file):  # against a backup that mounts it, too
            if not fresh and not await asyncio.to_thread(loop_files.in_use, wanted.file):
                await loop_files.repair(wanted.file)
                await loop_files.grow(wanted.file, wanted.size_mib)
            if self.preallocate:
                await self._fill(wanted, fresh=fresh)
            await loop_files.mount(
                wanted.file,
                wanted.folder,
                new=fresh and not wanted.kept,
                discard=not self.preallocate,
            )
        await asyncio.to_thread(_private_folder, wanted.folder)  # of the mounted file system

    async def block_writes(self, wanted: LimitedFolder) -> None:
        """Shut its file system down, since dirty pages would take space when written."""
        try:
            _ = await asyncio.to_thread(loop_files.block_writes, wanted.file, wanted.folder)
        except OSError as error:
            raise HostFailed(f"{wanted.folder} cannot be blocked: {error.strerror}") from error

    async def _fill(self, wanted: LimitedFolder, *, fresh: bool) -> None:
        try:
            await loop_files.fill(wanted.file, self.floor_mib)
        except NodeFull:
            if fresh:  # nothing is in it yet
                await asyncio.to_thread(wanted.file.unlink)
            raise


class ProjectLimit:
    """Project quota of the file system that holds the folder."""

    async def open(self, wanted: LimitedFolder) -> None:
        """Make the folder and set its limit."""
        if wanted.size_mib < 1:  # the kernel takes 0 as no limit
            raise HostFailed(f"{wanted.folder} cannot be limited to {wanted.size_mib} MiB")
        try:
            await asyncio.to_thread(_private_folder, wanted.folder)
            await asyncio.to_thread(
                project_quota.limit, wanted.folder, wanted.project, wanted.size_mib
            )
        except OSError as error:
            raise HostFailed(
                f"the quota of {wanted.folder} cannot be set: {error.strerror}"
            ) from error

    async def block_writes(self, wanted: LimitedFolder) -> None:
        """Set its limit to its present size."""
        try:
            usage = await asyncio.to_thread(project_quota.usage, wanted.folder, wanted.project)
            used_mib = max(usage.used_mib, 1)
            await asyncio.to_thread(project_quota.limit, wanted.folder, wanted.project, used_mib)
        except FileNotFoundError:
            return
        except OSError as error:
            raise HostFailed(f"{wanted.folder} cannot be blocked: {error.strerror}") from error


class NoLimit:
    """A plain folder: its file server limits sizes."""

    async def open(self, wanted: LimitedFolder) -> None:
        """Make the folder."""
        await asyncio.to_thread(_private_folder, wanted.folder)

    async def block_writes(self, wanted: LimitedFolder) -> None:
        """Do nothing: what fills is not this host's disk."""


def choose(settings: ImageSettings) -> SizeLimit:
    """Return the way given by the settings and the file system; raises HostFailed. Blocks."""
    loop = LoopLimit(settings.disk_preallocate, settings.free_floor_mib)
    if settings.size_limits is SizeLimits.LOOP:
        return loop
    if project_quota.available(settings.state_dir):
        if settings.disk_preallocate:
            raise HostFailed(
                f"image.disk_preallocate needs files, and the sizes in {settings.state_dir} are"
                " limited by project quota, which reserves nothing: set image.size_limits to loop,"
                " and move each home that is there already into its file"
            )
        return ProjectLimit()
    if settings.size_limits is SizeLimits.PROJECT:
        raise HostFailed(
            f"the file system of {settings.state_dir} has no project quota: mount it with prjquota "
            "(ext4 with the feature project) or pquota (XFS), or set image.size_limits to auto"
        )
    return loop


def _private_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise HostFailed(f"{folder} cannot be made: {error.strerror}") from error
