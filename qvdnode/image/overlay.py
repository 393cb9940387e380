"""Root file systems of guests: an overlay on the image, fresh or kept, and the user's home.

vms/<vm>/<generation>/  group: the guest's, so that only it and root may pass
    lower   the image, with the guest's ids, read-only
    disk    what the guest writes, limited to its flavour's size
    root    both, as the guest sees them
    home    the user's home, with the guest's ids
"""

import asyncio
import logging
from collections.abc import Awaitable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from qvdnode.host import disk_space, mounts
from qvdnode.host.idmap import IdMapper
from qvdnode.host.linux_calls import MOUNT_ATTR_NODEV, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY
from qvdnode.image import guest_folders, size_limit
from qvdnode.image.contents import ImageContents
from qvdnode.image.core.disk_promise import DiskState
from qvdnode.image.core.quota_projects import QuotaProjects
from qvdnode.image.disk_ledger import DiskLedger, Orders
from qvdnode.image.free_space import FreeSpaceFloor
from qvdnode.image.homes import Homes
from qvdnode.image.layout import GuestFolders, Layout
from qvdnode.image.ports import StartNotes
from qvdnode.image.settings import ImageSettings
from qvdnode.image.size_limit import LimitedFolder, SizeLimit
from qvdnode.image.versions import ImageVersions
from qvdnode.model.account import account_name
from qvdnode.model.errors import BadImage, FarmError, HostFailed, NodeFull
from qvdnode.model.farm import DesktopOrder, KeptOverlay
from qvdnode.model.guest import FreeSpace, GuestRoot, IdRange
from qvdnode.model.ids import Generation, UserId, VmId
from qvdnode.runtime.rollback import Rollback
from qvdnode.runtime.shield import run_shielded
from qvdnode.telemetry.metrics import Histogram

log = logging.getLogger(__name__)

STARTING: Final = "the start of a desktop"
MOUNT_SECONDS: Final = Histogram(
    "qvdnode_rootfs_mount_seconds",
    "Time to make the root and home of one guest.",
    buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)


class OverlayRootfs:
    """Implements vm.ports.RootfsProvider with overlays; one for the node."""

    def __init__(self, settings: ImageSettings, notes: StartNotes | None = None) -> None:
        self._notes = notes
        self._settings = settings
        self._layout = Layout(settings.state_dir)
        self._floor = FreeSpaceFloor(settings.state_dir, settings.free_floor_mib)
        self.ledger = DiskLedger(settings)
        """Counts what is promised of the disk."""
        self.versions = ImageVersions(settings)
        """What guests run on."""
        self.contents = ImageContents(self.versions)
        """Tells what images lack."""
        self._projects = QuotaProjects(settings.quota_project_base)
        self._homes = Homes(self._layout, self._projects, shared=settings.homes_shared)
        self._ids = IdMapper()
        self._limit: SizeLimit | None = None

    async def require_room(self, order: DesktopOrder, promised: Orders) -> None:
        """Raise NodeFull below the floor of free space, or when the desktop does not fit.

        There is no await between the call of `promised` and the return, so no other start can be
        admitted in between.
        """
        state = await asyncio.to_thread(self._measure)
        because = self.ledger.refusal(state, promised(), order)
        if because is not None:
            raise NodeFull(because)

    async def mount(self, order: DesktopOrder, generation: Generation, ids: IdRange) -> GuestRoot:
        """Mount a new root and the user's home for this generation.

        Raises BadImage, HostFailed, and NodeFull when the disk is; then nothing is left.
        """
        await self._note(order, generation)
        with MOUNT_SECONDS.time():
            async with Rollback() as rollback:
                rollback.undo(lambda: self._undo(order.vm.id, order.user.id, generation))
                made = await run_shielded(self._mount(order, generation, ids))
                rollback.commit()
        return made

    def free_space(self, root: GuestRoot) -> FreeSpace:
        """By the limits of the guest's own folders; raises HostFailed. Blocks."""
        try:
            return FreeSpace(disk_space.free_bytes(root.root), disk_space.free_bytes(root.home))
        except OSError as error:
            raise HostFailed(f"{root.root} cannot be measured: {error.strerror}") from error

    async def unmount(self, vm_id: VmId, user_id: UserId, generation: Generation) -> None:
        """Undo `mount`: delete the root, keep the home. Safe to repeat."""
        await run_shielded(self._undo(vm_id, user_id, generation))

    async def block_writes(self, vm_id: VmId, user_id: UserId, generation: Generation) -> None:
        """Block writes to root and home of a guest that will be killed; raises HostFailed.

        All guests that share the home get errors, so they must be killed, too.
        """
        limit = await asyncio.to_thread(self._chosen)
        root = self._limited_root(vm_id, self._layout.guest(vm_id, generation), 0)
        if await asyncio.to_thread(mounts.is_mounted, self._layout.kept_disk(vm_id)):
            root = self.versions.kept.limited(vm_id, 0)
        for done in await asyncio.gather(
            limit.block_writes(root),
            self._homes.block_writes(user_id, limit),
            return_exceptions=True,
        ):
            if isinstance(done, BaseException):
                raise done

    async def adopt(self, vm_id: VmId, user_id: UserId, generation: Generation) -> bool:
        """Adopt the mounts of an earlier process; False if they are incomplete."""
        folders = self._layout.guest(vm_id, generation)
        wanted = {folders.root, folders.home}
        points = {mount.point for mount in await asyncio.to_thread(mounts.listed)}
        if not wanted <= points:
            return False
        await self._homes.adopt(user_id, (vm_id, generation))
        return True

    async def sweep(self, keep: Sequence[tuple[VmId, Generation]]) -> Sequence[str]:
        """Remove mounts and folders of this state folder that belong to none of `keep`.

        Call it after `adopt`. Returns what was removed; what cannot be removed is logged and left
        to the next sweep.
        """
        removed: list[Path] = []
        for folders in await asyncio.to_thread(guest_folders.leftovers, self._layout, keep):
            try:
                await guest_folders.remove(folders)
                removed.append(folders.folder)
            except HostFailed as error:
                log.warning("leftover_not_removed", extra={"because": str(error)})
        await self._close_kept({vm_id for vm_id, _ in keep})
        removed += await self._homes.sweep()
        await self._unmount_unused_images()
        return [str(folder.relative_to(self._layout.state_dir)) for folder in removed]

    async def _close_kept(self, running: Collection[VmId]) -> None:
        """Unmount the kept changes of desktops that do not run."""
        for point in await asyncio.to_thread(mounts.under, self._layout.kept):
            if point.name.isdecimal() and VmId(int(point.name)) not in running:
                await self.versions.kept.close(VmId(int(point.name)))

    def close(self) -> None:
        """Close cached descriptors; mounts stay."""
        self._ids.close()

    async def _mount(self, order: DesktopOrder, generation: Generation, ids: IdRange) -> GuestRoot:
        folders = self._layout.guest(order.vm.id, generation)
        limit = await asyncio.to_thread(self._prepare, folders, ids)
        kept = order.flavour.overlay is KeptOverlay.KEEP
        commit = await self._open_kept(order, ids, limit) if kept else None
        layers = await asyncio.to_thread(
            self.versions.acquire, folders, order.flavour.image_id, order.image_version, commit
        )
        holder = (order.vm.id, generation)
        home = self._homes.acquire(order.user.id, holder, order.flavour.home_mib, limit)
        # Wait for all of them even if one fails, since the undo must not race with them.
        done = await asyncio.gather(
            self._bind_home(home, folders, ids),
            self._bind_lower(layers.folder, folders, ids),
            self._bind_kept(order, folders) if kept else self._open_disk(folders, order, limit),
            return_exceptions=True,
        )
        for result in done:
            if isinstance(result, BaseException):
                raise result
        account = account_name(order.user.login)
        join = partial(guest_folders.join, folders, account, ids, layers, kept=kept)
        await asyncio.to_thread(join)
        return GuestRoot(root=folders.root, home=folders.home)

    async def _note(self, order: DesktopOrder, generation: Generation) -> None:
        """Note the version before it can fail, since a rollout is judged by such failures."""
        if self._notes is None:
            return
        image_id, version = order.flavour.image_id, order.image_version
        try:
            await self._notes.note_start(order.vm.id, generation, image_id, version)
        except FarmError as error:
            log.warning("start_not_noted", extra={"vm": order.vm.id, "because": str(error)})

    async def count(self, promised: Orders) -> None:
        """Measure the disk and update the metrics; raises HostFailed."""
        await asyncio.to_thread(self.ledger.measure)
        self.ledger.show(promised())

    async def reserved_mib(self, promised: Orders) -> int:
        """What must stay free beside images for what desktops were promised; raises HostFailed."""
        return await asyncio.to_thread(self.ledger.reserved_mib, promised())

    def _measure(self) -> DiskState:
        self._floor.require(STARTING)
        return self.ledger.measure()

    def _prepare(self, folders: GuestFolders, ids: IdRange) -> SizeLimit:
        # Check again: the disk may have filled up since admission.
        self._floor.require(STARTING)
        guest_folders.check_passable(self._layout.vms)
        guest_folders.prepare(folders, ids)
        return self._chosen()

    def _chosen(self) -> SizeLimit:
        if self._limit is None:
            self._limit = size_limit.choose(self._settings)
        return self._limit

    async def _bind_lower(self, image: Path, folders: GuestFolders, ids: IdRange) -> None:
        attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV
        await self._ids.bind(
            image, folders.lower, start=ids.start, count=ids.count, attributes=attributes
        )

    async def _bind_home(self, home: Awaitable[Path], folders: GuestFolders, ids: IdRange) -> None:
        attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV
        await self._ids.bind(
            await home, folders.home, start=ids.start, count=ids.count, attributes=attributes
        )

    async def _open_kept(self, order: DesktopOrder, ids: IdRange, limit: SizeLimit) -> str:
        """Mount what the desktop changed before, moved to its version; returns its commit."""
        image_id, version = order.flavour.image_id, order.image_version
        found = await asyncio.to_thread(self.versions.commit_of, image_id, version)
        if found is None:
            raise BadImage(
                f"version {version} of image {order.flavour.image} is a plain folder, on which"
                " changes cannot be kept: import it again, or set overlay of the flavour to fresh"
            )
        return await self.versions.kept.open(
            order.vm.id, order.flavour.disk_mib, limit, ids, found.commit
        )

    async def _bind_kept(self, order: DesktopOrder, folders: GuestFolders) -> None:
        try:
            await asyncio.to_thread(
                mounts.bind, self._layout.kept_disk(order.vm.id), folders.disk, 0
            )
        except OSError as error:
            raise HostFailed(f"{folders.disk} cannot be mounted: {error.strerror}") from error

    async def _open_disk(
        self, folders: GuestFolders, order: DesktopOrder, limit: SizeLimit
    ) -> None:
        await limit.open(self._limited_root(order.vm.id, folders, order.flavour.disk_mib))

    def _limited_root(self, vm_id: VmId, folders: GuestFolders, size_mib: int) -> LimitedFolder:
        return LimitedFolder(
            folder=folders.disk,
            file=folders.disk_file,
            project=self._projects.of_root(vm_id),
            size_mib=size_mib,
            kept=False,
        )

    async def _undo(self, vm_id: VmId, user_id: UserId, generation: Generation) -> None:
        folders = self._layout.guest(vm_id, generation)
        await guest_folders.remove(folders)
        await self.versions.kept.close(vm_id)
        await self._homes.release(user_id, (vm_id, generation))
        await self._unmount_unused_images()

    async def _unmount_unused_images(self) -> None:
        try:
            await asyncio.to_thread(self.versions.mounts.tidy)
        except HostFailed as error:
            log.warning("image_stays_mounted", extra={"because": str(error)})
