"""Manages homes: one per user, kept, mounted in each of the user's guests with that guest's ids.

On disk a home belongs to uid 1000, as inside each guest. Other users of the host cannot reach it,
since only root may enter the folder above. Its file system is mounted once per host, for the first
guest that needs it, and unmounted after the last.
"""

import asyncio
import logging
import os
from collections import defaultdict
from pathlib import Path
from typing import Final

from qvdnode.host import mounts
from qvdnode.image.core.quota_projects import QuotaProjects
from qvdnode.image.layout import Layout
from qvdnode.image.size_limit import LimitedFolder, NoLimit, SizeLimit
from qvdnode.model.errors import HostFailed
from qvdnode.model.ids import Generation, UserId, VmId

log = logging.getLogger(__name__)

HOME_UID: Final = 1000
"""Owner of every home on disk, and the user's uid in every guest."""

Holder = tuple[VmId, Generation]


class Homes:
    """Opens and closes homes, and counts the guests that use each."""

    def __init__(self, layout: Layout, projects: QuotaProjects, *, shared: bool = False) -> None:
        """`shared` homes are on a file server, which limits their sizes."""
        self._shared = shared
        self._layout = layout
        self._projects = projects
        self._holders: defaultdict[UserId, set[Holder]] = defaultdict(set)
        self._locks: defaultdict[UserId, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._blocked: set[UserId] = set()
        """Homes with blocked writes until they are closed; a file beside each marks them for the
        next process of this node."""

    async def acquire(
        self, user_id: UserId, holder: Holder, size_mib: int, limit: SizeLimit
    ) -> Path:
        """Open the user's home for a guest and return its folder; raises HostFailed."""
        async with self._locks[user_id]:
            folder = self._layout.home(user_id)
            home = folder / "home"
            if self._holders[user_id] and user_id in self._blocked:
                raise HostFailed(
                    f"The home {folder} is being closed, since a desktop that has it filled the"
                    " disk. Try again in a moment."
                )
            if not self._holders[user_id]:
                await self._unblock(user_id)
            if not self._holders[user_id] or not await asyncio.to_thread(home.is_dir):
                await self._open(user_id, folder, size_mib, limit)
            self._holders[user_id].add(holder)
            return home

    async def release(self, user_id: UserId, holder: Holder) -> None:
        """Close the home if this was its last guest; safe to repeat."""
        async with self._locks[user_id]:
            holders = self._holders[user_id]
            holders.discard(holder)
            if not holders:
                await asyncio.to_thread(mounts.unmount, self._layout.home(user_id))
                await self._unblock(user_id)

    async def block_writes(self, user_id: UserId, limit: SizeLimit) -> None:
        """Block writes until all guests that use the home are gone; raises HostFailed."""
        self._blocked.add(user_id)
        mark = self._layout.home_writes_blocked(user_id)
        try:
            await asyncio.to_thread(mark.touch, 0o600)
        except OSError as error:  # the disk is full; this process has noted it in memory
            log.warning(
                "home_mark_not_written", extra={"file": str(mark), "because": error.strerror}
            )
        if not self._shared:
            await limit.block_writes(self._limited(user_id, 0))

    async def adopt(self, user_id: UserId, holder: Holder) -> None:
        """Count a guest that an earlier process started."""
        self._holders[user_id].add(holder)
        if await asyncio.to_thread(self._layout.home_writes_blocked(user_id).exists):
            self._blocked.add(user_id)

    async def sweep(self) -> list[Path]:
        """Unmount the homes that no guest uses; returns their folders."""
        unmounted: list[Path] = []
        for point in await asyncio.to_thread(mounts.under, self._layout.homes):
            if point == self._layout.homes:  # a file system of their own
                continue
            held = point.name.isdecimal() and self._holders.get(UserId(int(point.name)))
            if not held:
                await asyncio.to_thread(mounts.unmount, point)
                unmounted.append(point)
        return unmounted

    async def _unblock(self, user_id: UserId) -> None:
        self._blocked.discard(user_id)
        mark = self._layout.home_writes_blocked(user_id)
        try:
            await asyncio.to_thread(mark.unlink, missing_ok=True)
        except OSError as error:  # harmless for a home that no guest has open
            log.warning(
                "home_mark_not_removed", extra={"file": str(mark), "because": error.strerror}
            )

    async def _open(self, user_id: UserId, folder: Path, size_mib: int, limit: SizeLimit) -> None:
        wanted = self._limited(user_id, size_mib)
        limit = NoLimit() if self._shared else limit
        if not await asyncio.to_thread(mounts.is_mounted, folder):
            await limit.open(wanted)
        try:
            await asyncio.to_thread(_home_folder, folder / "home")
        except OSError as error:
            await asyncio.to_thread(mounts.unmount, folder)
            raise HostFailed(f"the home {folder} cannot be used: {error.strerror}") from error

    def _limited(self, user_id: UserId, size_mib: int) -> LimitedFolder:
        return LimitedFolder(
            folder=self._layout.home(user_id),
            file=self._layout.home_file(user_id),
            project=self._projects.of_home(user_id),
            size_mib=size_mib,
            kept=True,
        )


def _home_folder(home: Path) -> None:
    if home.is_dir() and not home.is_symlink():
        return
    home.mkdir(mode=0o700)
    os.chown(home, HOME_UID, HOME_UID)
