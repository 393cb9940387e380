"""Where LXC listens for orders about a guest, and whether it is LXC that listens there.

LXC takes a name in the host's space of abstract sockets, made of its path and the guest's name.
Any user of the host may take such a name first: `lxc-start` would ask whoever that is, and wait.
So each launch has a path of its own that nobody can foretell.
"""

# tested-by: tests/attacks/test_control_socket.py

import asyncio
import contextlib
import os
import secrets
import socket
import struct
from collections.abc import Awaitable
from pathlib import Path
from typing import Final

from qvdnode.model.errors import HostFailed
from qvdnode.runtime.time_limit import TimeLimit

LOCKS: Final = Path("/run/lxc/lock")
"""LXC makes a folder for each path in here, and leaves it."""
_CREDENTIALS: Final = struct.Struct("=iII")
LOOK_S: Final = 1.0
"""Longer than a launch takes on a host that is not busy; a look costs next to nothing."""
FULL_QUEUE: Final = "a process that does not answer"
"""Whose socket has as many waiting as it takes."""
NAME_MAX: Final = 105
"""LXC hashes what is longer."""


class LxcControl:
    """The paths of an instance's guests, each in a file that only root reads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def draw(self, name: str) -> None:
        """Give a guest a new path; raises HostFailed."""
        self.forget(name)
        path = self._folder / secrets.token_hex(16)
        write_private(self._file(name), str(path))
        try:
            path.mkdir()  # LXC wants it to be there for itself and the guest, and keeps it empty
            path.chmod(0o711)
        except OSError as error:
            raise HostFailed(f"{path} cannot be made: {error.strerror}") from error

    def path(self, name: str) -> str:
        """What LXC is told with -P; the folder itself for guests of an earlier release."""
        try:
            return self._file(name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return str(self._folder)

    def forget(self, name: str) -> None:
        """The guest is gone; safe to repeat."""
        path = self.path(name)
        if path != str(self._folder):
            for folder in (LOCKS / path.lstrip("/"), Path(path)):
                with contextlib.suppress(OSError):
                    folder.rmdir()
        self._file(name).unlink(missing_ok=True)

    def stranger(self, name: str) -> str | None:
        """Who listens at the guest's socket without being root, for a message; None if nobody."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dialled:
            dialled.settimeout(0)
            try:
                dialled.connect(self._address(name))
            except BlockingIOError:
                return FULL_QUEUE
            except OSError:
                return None
            facts = dialled.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, _ = _CREDENTIALS.unpack(facts)
        return None if uid == 0 else f"process {pid} of user {uid}"

    async def unless_taken(self, name: str, work: Awaitable[int]) -> int | None:
        """The exit code of a launch; None as soon as it waits for a stranger's answer."""
        loop, limit = asyncio.get_running_loop(), TimeLimit(None)

        def look() -> None:
            if self.stranger(name) is None:
                looks.append(loop.call_later(LOOK_S, look))
            else:
                limit.end_now()

        looks = [loop.call_later(LOOK_S, look)]
        try:
            async with limit:
                return await work
        except TimeoutError:
            return None
        finally:
            looks[-1].cancel()

    def require_own(self, name: str) -> None:
        """Raise HostFailed when lxc-attach would believe somebody else than LXC.

        A full queue is LXC's own: any user of the host may fill it, but nobody else can listen at
        the name while the guest runs.
        """
        who = self.stranger(name)
        if who not in {None, FULL_QUEUE}:
            raise HostFailed(
                f"the control socket of {name} belongs to {who}: end that and try again"
            )

    def _address(self, name: str) -> bytes:
        whole = f"{self.path(name)}/{name}".encode()
        address = whole + b"/command"
        if len(address) > NAME_MAX:
            address = b"lxc/%016x/command" % _fnv_1a(whole)
        return b"\0" + address

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.control"


def _fnv_1a(text: bytes) -> int:
    found = 0xCBF2_9CE4_8422_2325
    for byte in text:
        found = (found ^ byte) * 0x100_0000_01B3 % 2**64
    return found


def write_private(path: Path, text: str) -> None:
    """Write a file that only root reads; raises HostFailed, leaving none."""

    def opened(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW, 0o600)

    try:
        with open(path, "w", encoding="utf-8", opener=opened) as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text)
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        raise HostFailed(f"{path} cannot be written: {error.strerror}") from error
