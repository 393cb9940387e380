"""Run folders, which guests share with the node: one small tmpfs for each guest.

A guest that fills or forges its folder hurts only itself: reads go through host.guest_files.

<vm>/       a tmpfs; group: the guest's, so that only it and root may pass
    shared  the guest's: /run/qvd in it

No other user of the host can reach what a guest writes there, such as a socket: the guest may set
any mode in `shared`, but not on the folder above it.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from qvdnode.host import mounts
from qvdnode.host.guest_files import GuestFolder
from qvdnode.host.inotify import REST_S, Inotify
from qvdnode.model.errors import HostFailed
from qvdnode.model.guest import IdRange
from qvdnode.model.ids import VmId
from qvdnode.vm.core import display_pid
from qvdnode.vm.core.display import DisplayEvent
from qvdnode.vm.core.nxagent_log import LogParser

log = logging.getLogger(__name__)

SIZE_KIB: Final = 1024
INODES: Final = 65
SHARED: Final = "shared"
LOG: Final = "nxagent.log"
SCRIPT_LOG: Final = "session.log"
PID: Final = "nxagent.pid"
EXIT: Final = "desktop.exit"
PARAMS: Final = "params"
NOTICE: Final = "notice"
TYPED: Final = "typed"
READ_MAX: Final = 64 * 1024
"""Most bytes of a log in one read; what a guest writes beyond is read every inotify.REST_S."""
EVENTS_MAX: Final = 16
"""How many events of one read are reported, the last ones. nxagent writes some five in a whole
resume; a guest can write a thousand, and to handle them would delay all other guests."""
HISTORY_MAX: Final = SIZE_KIB * 1024
TAIL: Final = 16 * 1024
UNREAD_S: Final = 0.5
"""Before a log is read again that could not be read."""
TRIM_ABOVE: Final = 128 * 1024
TRIMMED: Final = b"Session: Session suspended at an earlier time; the node cut the log.\n"
"""Keeps the state readable: a log is trimmed only while its display is suspended."""


class TmpfsRunFolders:
    """Satisfies vm.ports.RunFolders."""

    def __init__(self, folder: Path, inotify: Inotify) -> None:
        self._folder = folder
        self._inotify = inotify
        self._undivided: set[VmId] = set()
        """Guests of an earlier release, to which the whole tmpfs belongs."""

    def path(self, vm_id: VmId) -> Path:
        """Where the VM's folder is."""
        point = self._point(vm_id)
        return point if vm_id in self._undivided else point / SHARED

    async def create(self, vm_id: VmId, ids: IdRange) -> None:
        """A new tmpfs with a folder that belongs to the guest's root."""
        await asyncio.to_thread(_create, self._point(vm_id), ids.start)
        self._undivided.discard(vm_id)

    async def remove(self, vm_id: VmId) -> None:
        """Unmount and remove."""
        await asyncio.to_thread(_remove, self._point(vm_id))
        self._undivided.discard(vm_id)

    async def adopt(self, vm_id: VmId) -> bool:
        """Whether the tmpfs is mounted."""
        point = self._point(vm_id)
        if not await asyncio.to_thread(mounts.is_mounted, point):
            return False
        if point.stat().st_uid != 0:
            self._undivided.add(vm_id)
        return True

    async def sweep(self, keep: Sequence[VmId]) -> Sequence[str]:
        """Remove the folders of all other VMs."""
        return await asyncio.to_thread(self._sweep, {str(vm_id) for vm_id in keep})

    def write_params(self, vm_id: VmId, content: bytes) -> None:
        """A new file, readable by the guest's root alone."""
        path = self.path(vm_id)
        with GuestFolder(path) as folder:
            folder.replace(PARAMS, content, mode=0o400, owner=path.stat().st_uid)

    def write_notice(self, vm_id: VmId, content: bytes) -> None:
        """A new file, readable by all of the guest."""
        path = self.path(vm_id)
        with GuestFolder(path) as folder:
            folder.replace(NOTICE, content + b"\n", mode=0o444, owner=path.stat().st_uid)

    def write_typed(self, vm_id: VmId, content: bytes) -> None:
        """A new file, which only the guest's root can read: it may be a password."""
        path = self.path(vm_id)
        with GuestFolder(path) as folder:
            folder.replace(TYPED, content + b"\n", mode=0o400, owner=path.stat().st_uid)

    def follow(
        self, vm_id: VmId, report: Callable[[Sequence[DisplayEvent]], None]
    ) -> Callable[[], None]:
        """Read on whenever inotify says that the folder changed."""
        reader = _LogReader(self.path(vm_id), report)
        with contextlib.ExitStack() as undo:
            undo.callback(reader.close)  # an open file would keep the folder mounted
            undo.callback(self._inotify.watch(self.path(vm_id), reader.read_on))
            reader.read_all()
            return undo.pop_all().close

    def trim(self, vm_id: VmId) -> None:
        """Replace a long log by one line; nxagent appends its next lines to that."""
        with GuestFolder(self.path(vm_id)) as folder:
            piece = folder.read_from(LOG, inode=None, offset=0, limit=1)
            if piece is not None and piece.size > TRIM_ABOVE:
                folder.rewrite(LOG, TRIMMED)

    def display_pid(self, vm_id: VmId) -> int | None:
        """The number in the pid file, if it can be a pid."""
        with GuestFolder(self.path(vm_id)) as folder:
            return display_pid.parse_pid(folder.read(PID, limit=display_pid.BYTES_MAX) or b"")

    def desktop_exit(self, vm_id: VmId) -> int | None:
        """The number in the exit file, if it can be an exit code."""
        with GuestFolder(self.path(vm_id)) as folder:
            return display_pid.parse_exit(folder.read(EXIT, limit=display_pid.BYTES_MAX) or b"")

    def log_tail(self, vm_id: VmId) -> str:
        """The ends of both logs, oldest file first."""
        with GuestFolder(self.path(vm_id)) as folder:
            pieces = [folder.tail(name, limit=TAIL) or b"" for name in (SCRIPT_LOG, LOG)]
        return b"".join(pieces).decode(errors="replace")

    def _point(self, vm_id: VmId) -> Path:
        return self._folder / str(vm_id)

    def _sweep(self, keep: set[str]) -> list[str]:
        if not self._folder.is_dir():
            return []
        leftovers = sorted(path for path in self._folder.iterdir() if path.name not in keep)
        for path in leftovers:
            _remove(path)
        return [str(path) for path in leftovers]


class _LogReader:
    """Follows one log through growth, cuts and replacement."""

    def __init__(self, path: Path, report: Callable[[Sequence[DisplayEvent]], None]) -> None:
        self._folder = GuestFolder(path)
        self._report = report
        self._parser = LogParser()
        self._inode: int | None = None
        self._offset = 0
        self._soon: asyncio.TimerHandle | None = None

    def read_all(self) -> None:
        """Report the whole log; raises HostFailed when it cannot be read."""
        self._read(HISTORY_MAX, HISTORY_MAX)

    def read_on(self) -> None:
        """Report what was appended, one bounded piece at a time."""
        try:
            self._read(READ_MAX, EVENTS_MAX)
        except HostFailed as error:
            log.warning("log_not_read", extra={"because": str(error)})
            self._soon = asyncio.get_running_loop().call_later(UNREAD_S, self.read_on)

    def _read(self, limit: int, events_max: int) -> None:
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        piece = self._folder.read_from(LOG, inode=self._inode, offset=self._offset, limit=limit)
        if piece is None:
            return
        if piece.end - len(piece.content) != self._offset:
            self._parser.restart()
        self._inode, self._offset = piece.inode, piece.end
        if piece.size > piece.end:
            # Skip to the end: no display logs so much between two states.
            self._offset = max(piece.end, piece.size - READ_MAX)
            self._soon = asyncio.get_running_loop().call_later(REST_S, self.read_on)
        events = self._parser.feed(piece.content)[-events_max:]
        if events:
            self._report(events)

    def close(self) -> None:
        """Close the folder and stop reading."""
        if self._soon is not None:
            self._soon.cancel()
        self._folder.close()


def _create(point: Path, owner: int) -> None:
    _remove(point)
    try:
        point.mkdir(mode=0o711, parents=True)
        mounts.tmpfs(point, size_kib=SIZE_KIB, inodes=INODES, owner=0, mode=0o710)
        os.chown(point, 0, owner)
        shared = point / SHARED
        shared.mkdir()
        shared.chmod(0o755)
        os.chown(shared, owner, owner)
    except OSError as error:
        raise HostFailed(f"cannot make {point}: {error.strerror}") from error


def _remove(path: Path) -> None:
    try:
        mounts.unmount(path)
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
    except OSError as error:
        raise HostFailed(f"cannot remove {path}: {error.strerror}") from error
