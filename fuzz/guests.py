"""Files that guests write and the node reads, and files that the node writes for guests."""

import contextlib
from typing import Final

from fuzz.target import Target
from qvdnode.model.errors import Invalid
from qvdnode.vm.core.display_pid import parse_pid
from qvdnode.vm.core.nxagent_log import LogParser
from qvdnode.wire import session_params


def session_parameters(data: bytes) -> None:
    """A parsed parameters file is written back the same."""
    with contextlib.suppress(Invalid):
        params = session_params.decode(data)
        if session_params.decode(session_params.encode(params)) != params:
            raise AssertionError(params)


def display_log(data: bytes) -> None:
    """A guest may write anything into its log."""
    parser = LogParser()
    for at in range(0, len(data), 7):
        parser.feed(data[at : at + 7])


def display_pids(data: bytes) -> None:
    """No number that a guest writes names more than one process."""
    if (pid := parse_pid(data)) is not None and not 0 < pid < 1 << 24:
        raise AssertionError(pid)


TARGETS: Final[dict[str, Target]] = {
    "session_parameters": Target(session_parameters, (b"LINK=6c616e\nLOGIN=616c696365\n",)),
    "display_pids": Target(display_pids, (b"4711\n",)),
    "display_log": Target(
        display_log,
        (b"Session: Session started at 'x'\nSession: Session suspended at\n",),
        weight=2,
    ),
}
