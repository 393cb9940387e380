"""Why a desktop in the browser ends, as its page is told; pure."""

from dataclasses import dataclass
from typing import Final

from qvdnode.model.errors import FarmError, Throttled, Unavailable


@dataclass(frozen=True, slots=True)
class Ending:
    """The last message of a session."""

    code: str
    """`gone` for a page that has left, an error's code, or one of those below."""
    sentence: str
    again: bool = False
    """Whether the page opens the desktop again by itself."""


GONE: Final = Ending("gone", "the browser left")
TAKEN_OVER: Final = "taken_over"
ENDED: Final = "ended"
LOST: Final = "lost"
STOPPING: Final = "stopping"

DISPLAY_LOST: Final = Ending(
    LOST, "The display of this page has ended; the desktop runs on.", again=True
)

_TAKEN: Final = "a newer connection took over"
_NODE_STOPS: Final = ("the node is stopping", "This node is stopping")
_LOST: Final = frozenset({
    "the client disconnected", "the client sent no NX stream",
    "the client sent no NX greeting in time", "the desktop's display was lost",
    "the desktop's display could not be reached", "the desktop's display did not answer in time",
})  # fmt: skip
"""Reasons of the relay that mean a fault on the way; the desktop runs on."""


def of_stream(reason: str) -> Ending:
    """What the end of the NX stream means for the page."""
    if reason == _TAKEN:
        return Ending(TAKEN_OVER, "The desktop was opened somewhere else.")
    if reason.startswith(_NODE_STOPS):
        return Ending(STOPPING, "The server restarts; the desktop runs on.", again=True)
    if reason in _LOST:
        return Ending(LOST, "The connection to the desktop was lost; it runs on.", again=True)
    if reason == "the desktop closed its display":
        return Ending(ENDED, "The desktop has closed this session.")
    return Ending(ENDED, f"The session has ended: {reason.removesuffix('.')}.")


def of_error(error: FarmError) -> Ending:
    """What an error means for the page."""
    again = isinstance(error, Unavailable) and not isinstance(error, Throttled)
    return Ending(error.code, str(error), again=again)
