"""The states of a relayed stream: one table, no I/O.

Rule 1: every change of the state is a row of TRANSITIONS; an event that is not there changes
nothing.
Rule 2: ENDED is entered once, and the event that led there names the reason.
"""

from enum import StrEnum, auto
from typing import Final


class RelayState(StrEnum):
    """The state of a stream."""

    GREETING = auto()
    """The client has not yet sent its complete NX greeting."""
    DIALLING = auto()
    """The guest is being dialled; the client's bytes wait."""
    COPYING = auto()
    """Bytes are copied in both directions."""
    CLIENT_DONE = auto()
    """The client has closed its side; the guest's last bytes are delivered."""
    GUEST_DONE = auto()
    """The guest has closed its side; its last bytes are delivered."""
    ENDED = auto()


class RelayEvent(StrEnum):
    """An event of a stream."""

    GREETED = auto()
    BAD_GREETING = auto()
    DIALLED = auto()
    DIAL_FAILED = auto()
    CLIENT_EOF = auto()
    GUEST_EOF = auto()
    CLIENT_LOST = auto()
    GUEST_LOST = auto()
    EVICTED = auto()
    TIME_UP = auto()
    """The time limit of the state is over: greeting, dialling or delivering the last bytes."""


S = RelayState
E = RelayEvent

_ANY_TIME: Final = {E.CLIENT_LOST: S.ENDED, E.GUEST_LOST: S.ENDED, E.EVICTED: S.ENDED}

TRANSITIONS: Final[dict[RelayState, dict[RelayEvent, RelayState]]] = {
    S.GREETING: {
        **_ANY_TIME,
        E.GREETED: S.DIALLING,
        E.BAD_GREETING: S.ENDED,
        E.CLIENT_EOF: S.ENDED,
        E.TIME_UP: S.ENDED,
    },
    S.DIALLING: {
        **_ANY_TIME,
        E.DIALLED: S.COPYING,
        E.DIAL_FAILED: S.ENDED,
        E.CLIENT_EOF: S.ENDED,
        E.GUEST_EOF: S.ENDED,
        E.TIME_UP: S.ENDED,
    },
    S.COPYING: {**_ANY_TIME, E.CLIENT_EOF: S.CLIENT_DONE, E.GUEST_EOF: S.GUEST_DONE},
    S.CLIENT_DONE: {**_ANY_TIME, E.GUEST_EOF: S.ENDED, E.TIME_UP: S.ENDED},
    S.GUEST_DONE: {**_ANY_TIME, E.CLIENT_EOF: S.ENDED, E.TIME_UP: S.ENDED},
    S.ENDED: {},
}

REASONS: Final[dict[RelayState, dict[RelayEvent, str]]] = {
    S.GREETING: {
        E.BAD_GREETING: "the client sent no NX stream",
        E.TIME_UP: "the client sent no NX greeting in time",
    },
    S.DIALLING: {
        E.DIAL_FAILED: "the desktop's display could not be reached",
        E.TIME_UP: "the desktop's display did not answer in time",
        E.GUEST_EOF: "the desktop closed its display",
    },
    S.GUEST_DONE: {
        E.CLIENT_EOF: "the desktop closed its display",
        E.CLIENT_LOST: "the desktop closed its display",
        E.GUEST_LOST: "the desktop closed its display",
        E.TIME_UP: "the desktop closed its display",
    },
}
"""Reasons that depend on the state and the event."""

REASON_OF: Final[dict[RelayEvent, str]] = {
    E.CLIENT_EOF: "the client disconnected",
    E.CLIENT_LOST: "the client disconnected",
    E.GUEST_EOF: "the client disconnected",
    E.GUEST_LOST: "the desktop's display was lost",
    E.EVICTED: "ended by the node",
    E.TIME_UP: "the client disconnected",
}


def step(state: RelayState, event: RelayEvent) -> RelayState | None:
    """Return the next state, or None when the event changes nothing."""
    return TRANSITIONS[state].get(event)


def reason(state: RelayState, event: RelayEvent) -> str:
    """Return why a stream in `state` ended by `event`, for the session's record."""
    return REASONS.get(state, {}).get(event) or REASON_OF[event]
