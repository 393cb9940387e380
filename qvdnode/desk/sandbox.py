"""One browser's display: nxproxy and Xvnc in a sandbox, with two ways in and out.

`nx` carries what the guest's nxagent and nxproxy say, which the node relays as any NX client's.
`rfb` is a socket pair that carries what Xvnc and the browser say. core/flags.py has the walls.
"""

import asyncio
import contextlib
import logging
import os
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.desk.core import flags
from qvdnode.desk.core.flags import DeskFlags
from qvdnode.host import group_limits, mounts, process, sandbox_filter_file
from qvdnode.host.cgroups import Cgroups
from qvdnode.host.child import Child
from qvdnode.host.group_limits import GroupLimits
from qvdnode.model.errors import HostFailed, TimedOut
from qvdnode.runtime.time_limit import TimeLimit

log = logging.getLogger(__name__)

FOLDERS: Final = Path("/run/qvdnode/desks")
"""Folders of the displays of all instances. Short, as the path of a socket has to be."""
READY_LIMIT_S: Final = 15.0
DIAL_LIMIT_S: Final = 10.0
WORDS_MAX: Final = 2_000
"""Most characters that the node keeps of what its programs print."""
GROUP_PROCESSES: Final = 32
X11: Final = "x11"
"""The folder with the socket of the display."""
SOCKETS_KIB: Final = 64
SOCKETS_INODES: Final = 16
CLEAR_TRIES: Final = 200
CLEAR_AGAIN_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class DeskSpec:
    """What a display is made with."""

    name: str
    """Different from every other one of the host's."""
    flags: Callable[[str, int, tuple[int, ...]], DeskFlags]
    """Made of the folder's path, the number of the RFB descriptor and that of the filter's."""
    group: str
    memory_mib: int
    cpu_pct: int


class Desk:
    """A display that runs; made by `opened`."""

    def __init__(self, child: Child, rfb: socket.socket, nx: socket.socket, folder: Path) -> None:
        self.rfb = rfb
        """Xvnc's end of RFB; the owner of the desk uses and closes it."""
        self.folder = folder
        self._child = child
        self._nx = nx
        self._words = bytearray()

    @property
    def pid(self) -> int:
        """The first process of the sandbox, as the host sees it."""
        return self._child.pid

    def last_words(self) -> str:
        """The end of what its programs printed, for the log."""
        return self._words.decode(errors="replace").strip()[-400:]

    async def dial(self) -> socket.socket:
        """Have nxproxy begin; the connection that it makes. Raises HostFailed, TimedOut."""
        stdin = self._child.stdin
        if stdin is None:
            raise AssertionError("the sandbox is started with pipes")
        try:
            stdin.write(b"\n")
            async with TimeLimit(DIAL_LIMIT_S):
                peer, _ = await asyncio.get_running_loop().sock_accept(self._nx)
        except TimeoutError as error:
            raise TimedOut(f"nxproxy did not start: {self.last_words()}") from error
        except OSError as error:
            raise HostFailed(f"the sandbox has ended: {self.last_words()}") from error
        return peer

    async def ended(self) -> None:
        """Return when the sandbox has ended; what is printed until then is read and cut."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(self._child.stdout))
            group.create_task(self._listen(self._child.stderr))
            group.create_task(self._exit())

    async def ready(self) -> None:
        """Return when its display is there; raises HostFailed, TimedOut."""
        stdout = self._child.stdout
        if stdout is None:
            raise AssertionError("the sandbox is started with pipes")
        try:
            async with TimeLimit(READY_LIMIT_S):
                line = await stdout.readline()
        except (TimeoutError, ValueError) as error:
            raise TimedOut("The display for the browser did not start in time.") from error
        if not line.strip().isdigit():
            await self._listen(self._child.stderr)
            raise HostFailed(
                f"The display for the browser did not start: {self.last_words() or 'no reason'}"
            )

    async def _exit(self) -> None:
        await self._child.wait()

    async def _listen(self, stream: asyncio.StreamReader | None) -> None:
        while stream is not None and (piece := await stream.read(WORDS_MAX)):
            self._words += piece
            del self._words[:-WORDS_MAX]


@contextlib.asynccontextmanager
async def opened(spec: DeskSpec, cgroups: Cgroups) -> AsyncIterator[Desk]:
    """A display that is ready; nothing of it is left afterwards. Raises HostFailed, TimedOut."""
    async with contextlib.AsyncExitStack() as undone:
        folder = _make_folder(FOLDERS / spec.name)
        undone.callback(_remove_folder, folder)
        nx = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        undone.callback(nx.close)
        ours, theirs = socket.socketpair()
        undone.callback(ours.close)
        undone.callback(theirs.close)
        filters = undone.enter_context(sandbox_filter_file.opened())
        wanted = spec.flags(str(folder), theirs.fileno(), filters)
        _listen_at(nx, folder, wanted.uid)
        undone.push_async_callback(_cleared, cgroups, spec.group)
        limits = GroupLimits(spec.memory_mib, spec.cpu_pct, GROUP_PROCESSES)
        joined = await asyncio.to_thread(group_limits.create, cgroups, spec.group, limits)
        child = await process.spawn_piped(
            flags.held_back(flags.sandboxed(wanted)), pass_fds=(theirs.fileno(), *filters)
        )
        undone.push_async_callback(process.end_all, child, grace_s=0)
        theirs.close()
        _join(joined, child.pid)
        ours.settimeout(0)
        desk = Desk(child, ours, nx, folder)
        if child.stdin is None:
            raise AssertionError("the sandbox is started with pipes")
        child.stdin.write(b"\n")
        await desk.ready()
        yield desk


def _join(files: tuple[Path, ...], pid: int) -> None:
    """Put a process into a group; what it starts later is in it, too. Raises HostFailed."""
    try:
        for file in files:
            file.write_text(str(pid), encoding="ascii")
    except OSError as error:
        raise HostFailed(f"process {pid} cannot enter its control group: {error}") from error


def _remove(cgroups: Cgroups, group: str) -> bool:
    """Kill what is left in a group and remove it, with those below; whether it is gone."""
    with contextlib.suppress(HostFailed):
        cgroups.kill(group)
    cgroups.remove(group)
    return not cgroups.exists(group)


async def _cleared(cgroups: Cgroups, group: str) -> None:
    """Remove the group once its last process has gone: what is killed takes a moment to die."""
    for _ in range(CLEAR_TRIES):
        if await asyncio.to_thread(_remove, cgroups, group):
            return
        await asyncio.sleep(CLEAR_AGAIN_S)
    log.warning("browser_group_left", extra={"group": group})


def missing_programs() -> list[str]:
    """Programs of the sandbox that are not installed."""
    return [name for name in flags.PROGRAMS if shutil.which(name) is None]


def sweep(prefix: str, cgroups: Cgroups) -> None:
    """Remove what displays of an earlier process of this instance left. Blocks briefly."""
    for folder in FOLDERS.glob(f"{prefix}-*"):
        _remove_folder(folder)
    _remove(cgroups, group_of(prefix))


def group_of(prefix: str, name: str = "") -> str:
    """The control group of all displays of the instance, or of one."""
    return f"{prefix}desks/{name}" if name else f"{prefix}desks"


def _make_folder(folder: Path) -> Path:
    try:
        FOLDERS.mkdir(parents=True, exist_ok=True, mode=0o755)
        folder.mkdir(mode=0o711)
        folder.chmod(0o711)
    except OSError as error:
        raise HostFailed(f"{folder} cannot be made: {error.strerror}") from error
    return folder


def _remove_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):
        mounts.unmount(folder / X11)
    shutil.rmtree(folder, ignore_errors=True)


def _listen_at(nx: socket.socket, folder: Path, uid: int) -> None:
    """Make what is in the folder: the socket for nxproxy, and the place for the display's own."""
    try:
        path = folder / flags.NX_SOCKET
        nx.bind(str(path))
        os.chown(path, uid, uid)
        path.chmod(0o600)
        nx.listen(1)
        nx.settimeout(0)
        x11 = folder / X11
        x11.mkdir()
        # Of its own: what is taken over would fill that of the host.
        mounts.tmpfs(x11, size_kib=SOCKETS_KIB, inodes=SOCKETS_INODES, owner=uid, mode=0o700)
    except OSError as error:
        raise HostFailed(f"{folder} cannot be used: {error.strerror}") from error
