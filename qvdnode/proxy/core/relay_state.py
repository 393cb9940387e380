"""How one relayed stream lives: one table, no I/O.

Rule 1: every change of the state is a row of TRANSITIONS; an event that is not there changes
nothing.
Rule 2: ENDED is entered once, and the event that led there names the reason.
"""

from enum import StrEnum, auto
from typing import Final


class RelayState(StrEnum):
    """How far the stream has come."""

    GREETING = auto()
    """The client has still to send its whole NX greeting."""
    DIALLING = auto()
    """The guest is being dialled; the client's bytes wait."""
    COPYING = auto()
    """Bytes go both ways."""
    CLIENT_DONE = auto()
    """The client sends no more; what the guest still says is delivered."""
    GUEST_DONE = auto()
    """The guest sends no more; what it said is being delivered."""
    ENDED = auto()


class RelayEvent(StrEnum):
    """What can happen to it."""

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
    """The limit of the state has passed: greeting, dialling or delivering the rest."""


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
"""Where the state says more about the cause than the event alone."""

REASON_OF: Final[dict[RelayEvent, str]] = {
    E.CLIENT_EOF: "the client disconnected",
    E.CLIENT_LOST: "the client disconnected",
    E.GUEST_EOF: "the client disconnected",
    E.GUEST_LOST: "the desktop's display was lost",
    E.EVICTED: "ended by the node",
    E.TIME_UP: "the client disconnected",
}


def step(state: RelayState, event: RelayEvent) -> RelayState | None:
    """The next state, or None when the event means nothing any more."""
    return TRANSITIONS[state].get(event)


def reason(state: RelayState, event: RelayEvent) -> str:
    """Why a stream that was in `state` ended by `event`, for the session's record."""
    return REASONS.get(state, {}).get(event) or REASON_OF[event]
