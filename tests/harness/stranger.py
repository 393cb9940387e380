"""Another user of the host, who prepares files where root is going to work."""

import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

UID = 65534
"""The account `nobody`."""


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
