"""Measures the disk use of guests and the free space. It runs often, so it must be cheap."""

import contextlib
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from qvdnode.host import disk_space, project_quota
from qvdnode.image.core.quota_projects import QuotaProjects
from qvdnode.image.disk_ledger import DiskLedger
from qvdnode.image.layout import Layout
from qvdnode.image.settings import ImageSettings
from qvdnode.model.disk_share import INODES_PER_MIB
from qvdnode.model.errors import HostFailed
from qvdnode.model.ids import Generation, UserId, VmId

_BLOCKS_PER_MIB: Final = 2048


@dataclass(frozen=True, slots=True)
class GuestFiles:
    """Identifies the files of one guest: its root, and its user's home."""

    vm_id: VmId
    user_id: UserId
    generation: Generation


@dataclass(slots=True)
class StoreSizes:
    """One file system: its free space, and the space used by each guest's files."""

    folder: Path
    free_mib: float
    taken_mib: dict[GuestFiles, float] = field(default_factory=dict)
    """A home that several guests share counts for each, since the writer is unknown."""


class DiskSizes:
    """Measures the file systems of the state folder, of roots and of homes."""

    def __init__(self, settings: ImageSettings, ledger: DiskLedger) -> None:
        self._settings = settings
        self._layout = Layout(settings.state_dir)
        self._projects = QuotaProjects(settings.quota_project_base)
        self._ledger = ledger

    def measure(self, guests: Collection[GuestFiles]) -> list[StoreSizes]:
        """Measure each file system; raises HostFailed. Blocks for two stats per guest."""
        try:
            return self._measure(guests)
        except OSError as error:
            raise HostFailed(
                f"{self._settings.state_dir} cannot be measured: {error.strerror}"
            ) from error

    def _measure(self, guests: Collection[GuestFiles]) -> list[StoreSizes]:
        stores: dict[int, StoreSizes] = {}
        _ = _store(stores, self._settings.state_dir)
        roots = _store(stores, self._place(self._layout.vms))
        homes = _store(stores, self._place(self._layout.homes))
        for guest in guests:
            for store, taken_mib in ((roots, self._root(guest)), (homes, self._home(guest))):
                store.taken_mib[guest] = store.taken_mib.get(guest, 0.0) + taken_mib
        return list(stores.values())

    def _place(self, folder: Path) -> Path:
        return folder if folder.exists() else self._settings.state_dir

    def _root(self, guest: GuestFiles) -> float:
        folders = self._layout.guest(guest.vm_id, guest.generation)
        return self._taken(folders.disk_file, folders.disk, self._projects.of_root(guest.vm_id))

    def _home(self, guest: GuestFiles) -> float:
        file, folder = self._layout.home_file(guest.user_id), self._layout.home(guest.user_id)
        return self._taken(file, folder, self._projects.of_home(guest.user_id))

    def _taken(self, file: Path, folder: Path, project: int) -> float:
        with contextlib.suppress(FileNotFoundError):
            return file.stat().st_blocks / _BLOCKS_PER_MIB
        if self._ledger.by_quota:
            with contextlib.suppress(OSError):  # created or removed meanwhile
                usage = project_quota.usage(folder, project)
                return usage.used_mib + usage.used_inodes / INODES_PER_MIB
        return 0.0


def _store(stores: dict[int, StoreSizes], folder: Path) -> StoreSizes:
    device = folder.stat().st_dev
    if device not in stores:
        stores[device] = StoreSizes(folder, disk_space.free_mib(folder))
    return stores[device]
