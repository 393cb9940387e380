"""Measures the file systems of roots and homes, and admits desktops by promised space."""

import contextlib
import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final

from qvdnode.host import project_quota
from qvdnode.host.disk_space import free_room
from qvdnode.image.core.disk_promise import (
    DiskPolicy,
    DiskState,
    Room,
    Store,
    StoreFigures,
    figures,
    refusal,
    unused_mib,
)
from qvdnode.image.core.quota_projects import QuotaProjects
from qvdnode.image.layout import GuestFolders, Layout
from qvdnode.image.settings import ImageSettings, SizeLimits
from qvdnode.model.errors import HostFailed
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import UserId, VmId
from qvdnode.telemetry.metrics import Counter, Gauge

Orders = Callable[[], Collection[DesktopOrder]]
"""Returns the orders of all desktops that run or start."""

REFUSED: Final = Counter("qvdnode_disk_admissions_refused", "Starts refused for want of disk space")
CAPACITY: Final = Gauge(
    "qvdnode_disk_capacity_mebibytes",
    "Disk space that may be promised to roots and homes, by file system, when last looked at.",
    ["folder"],
)
PROMISED: Final = Gauge(
    "qvdnode_disk_promised_mebibytes",
    "Disk space promised to roots and homes, by file system, when last looked at.",
    ["folder"],
)
_MIB: Final = 1024 * 1024
_SECTOR: Final = 512


class DiskLedger:
    """Keeps account of promised disk space; one for the node."""

    def __init__(self, settings: ImageSettings) -> None:
        self._layout = Layout(settings.state_dir)
        self._settings = settings
        self._projects = QuotaProjects(settings.quota_project_base)
        self._policy = DiskPolicy(settings.free_floor_mib, settings.disk_overcommit)
        self._by_quota: bool | None = None
        self._last: DiskState | None = None

    def measure(self) -> DiskState:
        """Measure the file systems and homes; raises HostFailed. Blocks for one stat per home."""
        with self._translated():
            self._last = self._measure()
        return self._last

    def refusal(
        self, state: DiskState, orders: Collection[DesktopOrder], wanted: DesktopOrder
    ) -> str | None:
        """Return why a desktop does not fit beside these, or None if it does."""
        because = refusal(state, self._policy, orders, wanted)
        if because is not None:
            REFUSED.inc()
        self.show(orders)
        return because

    def reserved_mib(self, orders: Collection[DesktopOrder]) -> int:
        """Return the promised space that images must leave free; raises HostFailed.

        Blocks as `measure` does.
        """
        with self._translated():
            device = self._place(self._layout.images).stat().st_dev
        return unused_mib(self.measure(), self._policy, orders, device)

    def show(self, orders: Collection[DesktopOrder]) -> list[StoreFigures]:
        """Return the figures of the last measurement, and set the metrics to them."""
        found = [] if self._last is None else figures(self._last, self._policy, orders)
        for store in found:
            CAPACITY.labels(store.folder).set(store.capacity_mib)
            PROMISED.labels(store.folder).set(store.promised_mib)
        return found

    @property
    def by_quota(self) -> bool:
        """Whether sizes are limited by quota. The first call blocks."""
        if self._by_quota is None:
            loop = self._settings.size_limits is SizeLimits.LOOP
            self._by_quota = not loop and project_quota.available(self._settings.state_dir)
        return self._by_quota

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise HostFailed(
                f"{self._settings.state_dir} cannot be measured: {error.strerror}"
            ) from error

    def _measure(self) -> DiskState:
        found = self._homes()
        kept = {user_id: size_mib for user_id, (size_mib, _) in found.items()}
        in_homes = [used for _, used in found.values()]
        in_roots: list[Room] = []
        for vm in _inside(self._layout.vms):
            starts = _inside(vm) if vm.name.isdecimal() else ()
            in_roots += [self._used_by(VmId(int(vm.name)), GuestFolders(one)) for one in starts]
        roots, homes = (self._place(folder) for folder in (self._layout.vms, self._layout.homes))
        if roots.stat().st_dev == homes.stat().st_dev:
            state = self._settings.state_dir
            shared = state if state.stat().st_dev == roots.stat().st_dev else roots
            store = _store(shared, [*in_roots, *in_homes])
            return DiskState(store, store, kept, self.by_quota)
        return DiskState(_store(roots, in_roots), _store(homes, in_homes), kept, self.by_quota)

    def _place(self, folder: Path) -> Path:
        return folder if folder.exists() else self._settings.state_dir

    def _homes(self) -> dict[UserId, tuple[int, Room]]:
        """Return the size limit and use of each home; one stat for each home in a file."""
        files: dict[UserId, tuple[int, Room]] = {}
        folders: set[UserId] = set()
        with contextlib.suppress(FileNotFoundError), os.scandir(self._layout.homes) as entries:
            for entry in entries:
                name, dot, suffix = entry.name.partition(".")
                if name.isdecimal() and dot + suffix == ".img":
                    with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                        files[UserId(int(name))] = _size_of(entry.stat())
                elif entry.name.isdecimal():
                    folders.add(UserId(int(entry.name)))
        return files | {user_id: self._home(user_id) for user_id in folders - files.keys()}

    def _home(self, user_id: UserId) -> tuple[int, Room]:
        """Return a home's size limit and use."""
        with contextlib.suppress(FileNotFoundError):
            return _size_of(self._layout.home_file(user_id).stat())
        return self._quota(self._layout.home(user_id), self._projects.of_home(user_id))

    def _used_by(self, vm_id: VmId, folders: GuestFolders) -> Room:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return _allocated(folders.disk_file.stat())
        return self._quota(folders.disk, self._projects.of_root(vm_id))[1]

    def _quota(self, folder: Path, project: int) -> tuple[int, Room]:
        if self.by_quota:
            with contextlib.suppress(OSError):
                usage = project_quota.usage(folder, project)
                return usage.limit_mib, Room(usage.used_mib, usage.used_inodes)
        return 0, Room(0, 0)


def _inside(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        yield from folder.iterdir()


def _size_of(facts: os.stat_result) -> tuple[int, Room]:
    return facts.st_size // _MIB, _allocated(facts)


def _allocated(facts: os.stat_result) -> Room:
    return Room(facts.st_blocks * _SECTOR // _MIB, 1)


def _store(folder: Path, used: list[Room]) -> Store:
    room = free_room(folder)
    taken = Room(sum(one.mib for one in used), sum(one.inodes for one in used))
    return Store(str(folder), folder.stat().st_dev, room.mib, room.inodes, taken)
