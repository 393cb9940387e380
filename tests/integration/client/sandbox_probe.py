"""Acts as an nxproxy that a guest has taken over: tries forbidden actions, reports the results.

sandbox_probe.py NX-OPTIONS HOME PORT PID
"""

import contextlib
import ctypes
import json
import os
import re
import resource
import socket
import sys
from collections.abc import Callable
from pathlib import Path

GIB = 1 << 30
CLONE_NEWUSER = 0x10000000
PR_GET_NO_NEW_PRIVS = 39
PTRACE_ATTACH = 16
KEYCTL, USERFAULTFD = 250, 323
"""Numbers of system calls of x86_64."""
LIBC = ctypes.CDLL(None, use_errno=True)


def dial(family: socket.AddressFamily, address: object) -> None:
    with socket.socket(family) as caller:
        caller.settimeout(2)
        caller.connect(address)  # type: ignore[arg-type]  # by family


def succeed(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), "refused")


def found(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")


def fill(home: str) -> None:
    with (Path(home) / "big").open("wb") as file:
        for _ in range(200):
            file.write(bytes(1 << 20))


def trace(client: int) -> None:
    succeed(LIBC.ptrace(PTRACE_ATTACH, client, 0, 0))


def dial_display() -> None:
    number = os.environ["DISPLAY"].removeprefix(":")
    dial(socket.AF_UNIX, f"/tmp/.X11-unix/X{number}")


def attempts(home: str, port: int, client: int) -> dict[str, Callable[[], object]]:
    core = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    return {
        "read the key": lambda: Path(home, ".ssh/id_rsa").read_text(),
        "write the home": lambda: Path(home, ".bashrc").write_text("evil"),
        "write the system": lambda: Path("/usr/local/bin/evil").write_text("evil"),
        "dial TCP": lambda: dial(socket.AF_INET, ("127.0.0.1", port)),
        "dial the bus": lambda: dial(socket.AF_UNIX, f"{home}/bus"),
        "dial the abstract socket": lambda: dial(socket.AF_UNIX, f"\0{home}/abstract"),
        "dial the display": dial_display,
        "signal the client": lambda: os.kill(client, 0),
        "make a namespace": lambda: succeed(LIBC.unshare(CLONE_NEWUSER)),
        "raise core dumps": lambda: resource.setrlimit(resource.RLIMIT_CORE, core),
        "make a socket of machines": lambda: socket.socket(40).close(),
        "make a socket of the kernel": lambda: socket.socket(16, socket.SOCK_RAW).close(),
        "look at keys": lambda: found(LIBC.syscall(KEYCTL, 0, -3, 0)),
        "handle faults of pages": lambda: found(LIBC.syscall(USERFAULTFD, 1)),
        "take 3 GiB": lambda: bytearray(3 * GIB),
    }


def outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except (OSError, ValueError, MemoryError) as error:
        return repr(error)
    return "done"


def main(options: str, home: str, port: str, client: str) -> None:
    found = re.search("unix:(.*):", options)
    assert found is not None
    ours = socket.socket(socket.AF_UNIX)
    ours.connect(found[1])
    report: dict[str, object] = {
        name: outcome(attempt) for name, attempt in attempts(home, int(port), int(client)).items()
    }
    if not Path(home).exists():  # only in the sandbox: outside they would succeed and do damage
        report["trace the client"] = outcome(lambda: trace(int(client)))
        report["fill the folder"] = outcome(lambda: fill(os.environ["HOME"]))
    report["no new privileges"] = LIBC.prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
    report["environment"] = sorted(os.environ)
    report["descriptors"] = [fd for fd in range(256) if fd != ours.fileno() and is_open(fd)]
    ours.sendall(json.dumps(report).encode() + b"\n")
    with contextlib.suppress(OSError):
        ours.recv(1)


def is_open(fd: int) -> bool:
    with contextlib.suppress(OSError):
        os.fstat(fd)
        return True
    return False


if __name__ == "__main__":
    main(*sys.argv[1:])
