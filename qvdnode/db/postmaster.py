"""Finds the server that runs on a data folder, including one started by an earlier process."""

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.host.guest_files import GuestFolder
from qvdnode.model.errors import HostFailed

PID_FILE: Final = "postmaster.pid"
READY: Final = "ready"
FILE_MAX_BYTES: Final = 4096
PID: Final = re.compile(r" *[0-9]{1,10} *")


@dataclass(frozen=True, slots=True)
class PidFile:
    """What a server writes about itself, line by line."""

    pid: int
    socket_folder: str
    status: str


def parse_pid_file(text: str) -> PidFile | None:
    """The file's content, or None while it is not whole."""
    lines = text.split("\n")[:-1]
    # pid, data folder, start time, port, socket folder, listen address, shared memory, status
    if len(lines) < 8 or PID.fullmatch(lines[0]) is None:
        return None
    return PidFile(int(lines[0]), lines[4].strip(), lines[7].strip())


def running_server(data: Path) -> PidFile | None:
    """The live server of exactly this data folder, or None.

    The pid may have been reused after a crash or a reboot, so the process must be a postgres with
    this working directory.
    """
    text = _of_the_server(data, PID_FILE)
    found = None if text is None else parse_pid_file(text)
    if found is None or not serves(found.pid, data):
        return None
    return found


def serves(pid: int, data: Path) -> bool:
    """Whether that process is a postgres whose working folder is `data`."""
    process = Path("/proc") / str(pid)
    try:
        # an upgrade may have replaced the program: then the link ends in " (deleted)"
        program = (process / "exe").readlink().name.removesuffix(" (deleted)")
        return program == "postgres" and (process / "cwd").readlink() == data.resolve()
    except (FileNotFoundError, ProcessLookupError):
        return False


def data_version(data: Path) -> int | None:
    """The major version of the server that made the data; None where there is none.

    Raises HostFailed for one that no server wrote.
    """
    text = _of_the_server(data, "PG_VERSION")
    if text is None:
        return None
    if (match := PID.fullmatch(text.strip())) is None:
        raise HostFailed(f"{data} says of itself that PostgreSQL {text[:20]!r} made it")
    return int(match.group())


def _of_the_server(data: Path, name: str) -> str | None:
    """Read a file in the data folder, whose content the server's account can forge."""
    if not data.is_dir():
        return None
    with GuestFolder(data) as folder:
        content = folder.read(name, limit=FILE_MAX_BYTES)
    return None if content is None else content.decode(errors="replace")


def remove_stale_pid_file(data: Path) -> None:
    """Remove the pid file of a server that is gone.

    PostgreSQL itself would refuse to start if the pid now belongs to another server of the same
    account, such as a demo's.
    """
    if running_server(data) is None:
        with contextlib.suppress(FileNotFoundError):
            (data / PID_FILE).unlink()


def server_pid(state_dir: Path) -> int | None:
    """The process of the server that runs from a node's state folder; None if there is none."""
    server = running_server(state_dir / "pg" / "data")
    return None if server is None else server.pid
