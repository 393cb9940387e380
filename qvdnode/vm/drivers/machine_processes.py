"""Starts QEMU and virtiofsd so that they outlive the node: no children of it, in other groups."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.host import process
from qvdnode.model.errors import HostFailed, TimedOut
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.vm.guest_driver import Console

START_LIMIT_S: Final = 10.0
SEARCH_PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"
_START: Final = """\
log=$1
shift
while [ "$1" != -- ]; do echo $$ > "$1" || exit 1; shift; done
shift
umask 077
trap '' XFSZ # a log that is full must not end the machine
"$@" </dev/null >>"$log" 2>&1 &
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the files of one machine are: below a folder that only root may list."""

    folder: Path
    name: str

    @property
    def agent(self) -> Path:
        """The socket of its agent."""
        return self.folder / f"{self.name}.agent"

    @property
    def qmp(self) -> Path:
        """The socket of QEMU."""
        return self.folder / f"{self.name}.qmp"

    @property
    def terminal(self) -> Path:
        """The socket of the console, for one who sees and uses it at a time."""
        return self.folder / f"{self.name}.terminal"

    @property
    def share(self) -> Path:
        """The socket of virtiofsd, for as long as it takes QEMU to be connected to it."""
        return self.folder / f"{self.name}.share"

    @property
    def shared(self) -> Path:
        """An empty folder, which virtiofsd puts the guest's files on in its own namespace."""
        return self.folder / f"{self.name}.shared"

    @property
    def console(self) -> Path:
        """What the machine's kernel says, and what QEMU complains of."""
        return self.folder / f"{self.name}.console"

    @property
    def share_log(self) -> Path:
        """What virtiofsd complains of."""
        return self.folder / f"{self.name}.share.log"

    def remove(self) -> None:
        """Remove all of them; safe to repeat."""
        for path in (
            self.agent, self.qmp, self.terminal, self.share, self.console, self.share_log,
        ):  # fmt: skip
            path.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self.shared.rmdir()


async def start(
    argv: Sequence[str], log: Path, groups: Sequence[Path], pass_fds: Sequence[int]
) -> None:
    """Start a program in these control groups, with these descriptors and no others.

    Returns once it is on its way. Raises HostFailed, TimedOut.
    """
    # The shell puts itself into the groups and then starts the program, which is born in them: at
    # no moment does it run without limits.
    words = ["sh", "-c", _START, "sh", str(log), *map(str, groups), "--", *argv]
    code = await process.exit_code(
        words, env={"PATH": SEARCH_PATH}, limit_s=START_LIMIT_S, pass_fds=pass_fds
    )
    if code != 0:
        raise HostFailed(f"{argv[0]} could not be put in its control group")


@contextlib.contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """A socket that listens there, for one who inherits it; only root may dial. Raises OSError."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with made:
        path.unlink(missing_ok=True)
        made.bind(str(path))
        path.chmod(0o600)  # nobody gets in before it listens
        made.listen(1)
        yield made


@contextlib.contextmanager
def appending(path: Path) -> Iterator[int]:
    """A log that is written at its end alone, for one who inherits it. Raises OSError."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield handle
    finally:
        os.close(handle)


@contextlib.contextmanager
def dialled(path: Path) -> Iterator[socket.socket]:
    """A connection to that socket, for one who inherits it. Raises OSError."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with made:
        made.connect(str(path))
        yield made


async def tail(path: Path, limit: int) -> bytes:
    """The end of a log; empty when there is none."""

    def read() -> bytes:
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(max(0, size - limit))
                return file.read(limit)
        except OSError:
            return b""

    return await asyncio.to_thread(read)


async def terminal(place: Place, limit_s: float) -> Console:
    """A connection to a machine's console; raises HostFailed, TimedOut."""
    try:
        async with TimeLimit(limit_s):
            return await asyncio.open_unix_connection(str(place.terminal))
    except OSError as error:
        raise HostFailed(f"the machine's console cannot be opened: {error}") from error
    except TimeoutError as error:
        raise TimedOut("The machine's console does not open.") from error
