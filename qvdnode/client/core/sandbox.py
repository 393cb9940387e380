"""Builds command lines that confine nxproxy on the user's machine; pure.

nxproxy is old C code, and the guest may choose every byte it reads. bubblewrap gives it namespaces
of its own: of the file system it sees programs and libraries to read, an empty folder in memory,
our socket and the display's; no other process, no network, no other socket of the user's. A filter
refuses system calls that it has no use for.
"""

from dataclasses import dataclass
from typing import Final

BUBBLEWRAP: Final = "bwrap"
READABLE: Final = ("/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache")
RESOLVER: Final = ("/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/host.conf")
"""Files needed to resolve a display on another host."""
HOME: Final = "/tmp/home"

MEMORY_BYTES: Final = 2 << 30
FOLDER_BYTES: Final = 64 << 20
"""Size of the folder in memory, where it keeps pictures for a while."""
FILE_BYTES: Final = 64 << 20
DESCRIPTORS: Final = 512
"""It serves up to 256 channels."""
PROCESSES: Final = 32


@dataclass(frozen=True, slots=True)
class SandboxNeeds:
    """What the confined program needs besides the system's files."""

    program: str
    """Its absolute path."""
    sockets: tuple[str, ...] = ()
    """The unix sockets that it dials."""
    network: bool = False
    """Whether it dials over TCP, or a socket that has no file."""
    filters: tuple[int, ...] = ()
    """The descriptor of its filter of system calls, if there is one."""


def sandboxed(needs: SandboxNeeds, arguments: tuple[str, ...]) -> list[str]:
    """The command line that runs the program in the sandbox."""
    words = [
        BUBBLEWRAP, "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent",
        "--cap-drop", "ALL", "--dev", "/dev",
        "--size", str(FOLDER_BYTES), "--tmpfs", "/tmp",
        "--dir", HOME, "--chdir", HOME,
    ]  # fmt: skip
    if needs.network:
        words.append("--share-net")
    for number in needs.filters:
        words += ["--seccomp", str(number)]
    for path in (*READABLE, *(RESOLVER if needs.network else ())):
        words += ["--ro-bind-try", path, path]
    for path in (needs.program, *needs.sockets):
        if not path.startswith("/usr/"):
            words += ["--ro-bind", path, path]
    return [*words, "--", *_limited(needs.program, arguments, f"--nproc={PROCESSES}")]


def unsandboxed(program: str, arguments: tuple[str, ...]) -> list[str]:
    """The command line where no sandbox is possible: no new privileges, and limits.

    No limit of processes: here it would count all of the user's.
    """
    return ["setpriv", "--no-new-privs", *_limited(program, arguments)]


def _limited(program: str, arguments: tuple[str, ...], *more: str) -> list[str]:
    """Hard limits, since nxproxy raises its own limit of core dumps as far as it may.

    CPU time has none: a session may last for weeks.
    """
    return [
        "prlimit", "--core=0:0", f"--as={MEMORY_BYTES}", f"--fsize={FILE_BYTES}",
        f"--nofile={DESCRIPTORS}", *more, program, *arguments,
    ]  # fmt: skip
