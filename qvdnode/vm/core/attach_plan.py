"""What to do next for the client that waits for a desktop. Pure.

Asked again after everything that happens to the VM, so it keeps no memory of its own.
"""

from enum import StrEnum

from qvdnode.model.vm_state import DisplayState, VmState


class Move(StrEnum):
    """The next thing to do for whoever waits."""

    WAIT = "wait"
    START = "start"
    """Start the VM."""
    EVICT = "evict"
    """Close the stream of the client that is attached: the newest connection wins."""
    RESUME = "resume"
    """Tell the script the new wishes and send SIGHUP, which a suspended display takes as resume."""
    DISMISS = "dismiss"
    """Have a listening display let go: it has somebody else's wishes, or may be taken already."""
    SEAT = "seat"
    """Let the client dial."""


def next_move(vm: VmState, display: DisplayState, *, seated: bool, busy: bool, fits: bool) -> Move:
    """The next move while somebody waits.

    `seated`: another client is attached. `busy`: the display is being resumed or dismissed. `fits`:
    it was last made ready for the wishes of the one that waits, and nobody can have dialled since.
    """
    if vm in {VmState.STOPPED, VmState.FAILED}:
        return Move.START
    if vm is not VmState.RUNNING:
        return Move.WAIT
    if seated:
        return Move.EVICT
    if busy:
        return Move.WAIT
    if display is DisplayState.LISTENING:
        return Move.SEAT if fits else Move.DISMISS
    return Move.RESUME if display is DisplayState.SUSPENDED else Move.WAIT
