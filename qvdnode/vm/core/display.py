"""How a guest's display (nxagent) lives: a second table beside lifecycle.py, no I/O.

Most events are lines of nxagent's own log (nxagent_log.py). SIGHUP is a toggle, so it is sent in
exactly one state, SUSPENDED, and RESUME_ASKED is a row of that state alone.
"""

from enum import StrEnum
from typing import Final

from qvdnode.model.vm_state import DisplayState as S


class DisplayEvent(StrEnum):
    """What can happen to a display."""

    START_ASKED = "start_asked"
    """The session script is about to start it."""
    RESUME_ASKED = "resume_asked"
    """It is about to be sent SIGHUP."""
    BEGINS = "begins"
    """nxagent starts or resumes a session; it does not listen yet."""
    LISTENS = "listens"
    """nxagent waits for a client."""
    CONNECTED = "connected"
    """A client's proxy has finished its greeting."""
    SUSPENDS = "suspends"
    """nxagent begins to let go of its client."""
    SUSPENDED = "suspended"
    """No client; the programs live on."""
    ENDS = "ends"
    """nxagent begins to end."""
    GONE = "gone"
    """nxagent has ended, by its log or because its process is gone."""


E = DisplayEvent

TRANSITIONS: Final[dict[S, dict[DisplayEvent, S]]] = {
    S.OFF: {
        E.START_ASKED: S.STARTING,
    },
    S.STARTING: {
        E.LISTENS: S.LISTENING,
        E.CONNECTED: S.CONNECTED,
        E.SUSPENDS: S.SUSPENDING,
        E.SUSPENDED: S.SUSPENDED,
        E.ENDS: S.STOPPING,
        E.GONE: S.OFF,
    },
    S.LISTENING: {
        E.CONNECTED: S.CONNECTED,
        E.SUSPENDS: S.SUSPENDING,
        E.SUSPENDED: S.SUSPENDED,
        E.ENDS: S.STOPPING,
        E.GONE: S.OFF,
    },
    S.CONNECTED: {
        E.SUSPENDS: S.SUSPENDING,
        E.SUSPENDED: S.SUSPENDED,
        E.ENDS: S.STOPPING,
        E.GONE: S.OFF,
    },
    S.SUSPENDING: {
        E.SUSPENDED: S.SUSPENDED,
        E.ENDS: S.STOPPING,
        E.GONE: S.OFF,
    },
    S.SUSPENDED: {
        E.RESUME_ASKED: S.STARTING,
        E.BEGINS: S.STARTING,
        E.LISTENS: S.LISTENING,
        E.ENDS: S.STOPPING,
        E.GONE: S.OFF,
    },
    S.STOPPING: {
        E.GONE: S.OFF,
    },
}


def step(state: S, event: DisplayEvent) -> S | None:
    """The next state, or None where the event means nothing."""
    return TRANSITIONS[state].get(event)


def replay(events: list[DisplayEvent]) -> tuple[S, bool]:
    """Where a display is whose log holds these events, and whether it ever had a client.

    Used to adopt one: whoever started it is gone, so its first sign of life counts as the start. A
    log that was cut begins with a suspended display, which only one that had a client can be.
    """
    state, ever_connected = S.OFF, False
    for event in events:
        if state is S.OFF and event not in {E.ENDS, E.GONE}:
            state = S.STARTING
        state = step(state, event) or state
        ever_connected = ever_connected or event in {E.CONNECTED, E.SUSPENDED}
    return state, ever_connected
