"""Another user of the host, who has no part in the node: prepares files, reaches for others."""

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from qvdnode.host import process

UID = 65534
"""The account `nobody`."""
REACH = """
import json, os, socket, stat, sys
reached = []
for path in json.load(sys.stdin):
    try:
        mode = os.stat(path, follow_symlinks=False).st_mode
        if stat.S_ISSOCK(mode):
            with socket.socket(socket.AF_UNIX) as dialled:
                dialled.settimeout(2)
                dialled.connect(path)
        elif stat.S_ISDIR(mode):
            os.listdir(path)
        elif stat.S_ISREG(mode):
            open(path, "rb").close()
        else:
            continue
        reached.append(path)
    except OSError:
        pass
print(json.dumps(reached))
"""


def link(at: Path, victim: Path) -> None:
    """A link to the victim's file."""
    at.symlink_to(victim)


def dangling_link(at: Path, victim: Path) -> None:
    """A link to a file that is to be made beside it."""
    at.symlink_to(victim.with_name("not-there-yet"))


def fifo(at: Path, victim: Path) -> None:
    """A pipe, whose reader or writer would wait."""
    os.mkfifo(at, 0o666)


def own_file(at: Path, victim: Path) -> None:
    """A file of the other user's."""
    at.touch(mode=0o666)


def as_stranger(work: Callable[[], object]) -> None:
    """Run it as that user in a child process; fails if it fails there."""
    child = _forked(work)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, "the other user could not do it"


@contextmanager
def racing(work: Callable[[], object]) -> Iterator[None]:
    """That user does it again and again, whether it works or not, until the scope ends."""

    def for_ever() -> None:
        signal.alarm(60)  # bounded, should nobody end it
        while True:
            with suppress(OSError):
                work()

    child = _forked(for_ever)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


async def reached(paths: Iterable[Path], *, uid: int = UID) -> set[str]:
    """Those of the folders that such a user can list, files to read, and sockets to dial."""
    done = await process.run(
        [
            "setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
            sys.executable, "-I", "-S", "-c", REACH,
        ],
        stdin=json.dumps([str(path) for path in paths]).encode(),
    )  # fmt: skip
    return set(json.loads(done.stdout))


def listener(path: str) -> str:
    """A shell command that leaves a unix socket there which all may dial, for half a minute."""
    code = (
        "use IO::Socket::UNIX; umask 0;"
        "my $s = IO::Socket::UNIX->new(Type => SOCK_STREAM(), Local => shift, Listen => 5);"
        "sleep 30;"
    )
    return (
        f"setsid -f perl -e '{code}' {path} </dev/null >/dev/null 2>&1;"
        f" until [ -S {path} ]; do sleep 0.05; done"
    )


def _forked(work: Callable[[], object]) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setgroups([])
        os.setresgid(UID, UID, UID)
        os.setresuid(UID, UID, UID)
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - told, and the fork must not come back into pytest
        traceback.print_exc()
    finally:
        os._exit(code)
