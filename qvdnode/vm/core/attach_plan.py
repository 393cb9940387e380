"""Decides what to do next for the client that waits for a desktop. Pure.

The core asks after every message, so nothing is remembered here.
"""

from enum import StrEnum
from typing import Final

from qvdnode.model.vm_state import DisplayState, VmState


class Move(StrEnum):
    """The next thing to do for whoever waits."""

    WAIT = "wait"
    START = "start"
    """Start the VM."""
    WAKE = "wake"
    """Thaw the guest."""
    START_DISPLAY = "start_display"
    """Start the display of a prepared guest."""
    EVICT = "evict"
    """Close the stream of the client that is attached: the newest connection wins."""
    RESUME = "resume"
    """Write the client's display parameters, then resume the suspended display."""
    DISMISS = "dismiss"
    """Make a listening display give up its wait: it has the parameters of another client, or
    somebody may have dialled it already."""
    SEAT = "seat"
    """Let the client dial."""


BY_DISPLAY: Final = {
    DisplayState.SUSPENDED: Move.RESUME,
    DisplayState.OFF: Move.START_DISPLAY,
}
"""Where the display does not listen; in every other state its log brings the next one."""


BY_GUEST: Final = {
    VmState.STOPPED: Move.START,
    VmState.FAILED: Move.START,
    VmState.HIBERNATED: Move.WAKE,
}
"""Where the guest does not run; one that comes up or ends is waited for."""


def next_move(vm: VmState, display: DisplayState, *, seated: bool, busy: bool, fits: bool) -> Move:
    """The next move while somebody waits.

    `seated`: another client is attached. `busy`: the display is being started, resumed or
    dismissed. `fits`: it has the parameters of the client that waits, and nobody can have dialled
    it since.
    """
    if vm is not VmState.RUNNING:
        return BY_GUEST.get(vm, Move.WAIT)
    if seated:
        return Move.EVICT
    if busy:
        return Move.WAIT
    if display is DisplayState.LISTENING:
        return Move.SEAT if fits else Move.DISMISS
    return BY_DISPLAY.get(display, Move.WAIT)
