"""States and events of a guest's display (nxagent): one table, no I/O.

Two sources move the table. nxagent's log (nxagent_log.py) says what the display does; the node says
what it asks of it: a start, a resume, a dismissal. A state holds both, so that "suspended and
waiting for a redraw slot" is a state of its own. Others see less: SHOWN_AS says what.

When SIGHUP is safe
-------------------
For nxagent SIGHUP is a toggle: it resumes a suspended display and suspends any other one, which
would take the session from its client. So it is sent in two places only:

1. once on entering TOGGLED, which PREPARING alone leads to: the display is suspended then, and
   every log event that came before has been handled. Nothing is awaited between that check and the
   signal.
2. again while the state is still TOGGLED. nxagent ignores SIGHUP for 50 ms after any activity, so
   the first one may be lost. As long as the log does not say BEGINS, nxagent has ignored all of
   them. One more than that would suspend the display again, so pauses start above 50 ms and double,
   and retries end. No client gets its seat before LISTENS, so up to there a SIGHUP can suspend no
   client.

A resume also needs a redraw slot. When more displays redraw than the host has cores, nxagent now
and then holds its last requests back until a pause of 5 s is over, so displays take turns: QUEUED
waits for the slot, PREPARING has it and writes the client's parameters. The slot is held until the
client sees its desktop, or for a second.

What is not a state, and why
----------------------------
* Whether the session script runs. The log speaks while it does: a display may listen before `start`
  has returned. The machine counts what has not ended (`unfinished`), and seats nobody meanwhile.
* For which parameters a listening display is ready. They are data (`ready_for`); a client with
  other parameters has the display dismissed.
* Whether it ever had a client, and how often it was started in a row. They decide at its end only:
  nxagent ends when its very first client fails the greeting, and then it is started again.
* Whether its process is watched. A pid is a hint of the guest and may come late.
"""

from enum import StrEnum
from typing import Final

from qvdnode.model.vm_state import DisplayState


class DisplayPhase(StrEnum):
    """What a display does and what the node is doing with it."""

    OFF = "off"
    """No display runs."""
    UNREAD = "unread"
    """Adopted; its log could not be read yet. It is taken to run."""
    STARTING = "starting"
    """It starts or resumes; it does not listen yet."""
    LISTENING = "listening"
    """It waits for one client."""
    DISMISSING = "dismissing"
    """It listens, and the node makes it give up its wait: it is ready for another client's
    parameters, or it may have been dialled already."""
    CONNECTED = "connected"
    """A client sees its desktop."""
    SUSPENDING = "suspending"
    """It drops its client."""
    SUSPENDED = "suspended"
    """No client; the programs live on."""
    QUEUED = "queued"
    """Suspended; it waits for a redraw slot to be resumed."""
    PREPARING = "preparing"
    """Suspended; it has the slot, and the parameters of its client are written."""
    TOGGLED = "toggled"
    """SIGHUP was sent; nxagent has not reacted yet."""
    STOPPING = "stopping"
    """nxagent ends."""
    GIVEN_UP = "given_up"
    """It ended, and is not started again: its guest is being ended, too."""


P = DisplayPhase
D = DisplayState

SHOWN_AS: Final[dict[DisplayPhase, DisplayState]] = {
    P.OFF: D.OFF,
    P.UNREAD: D.STARTING,
    P.STARTING: D.STARTING,
    P.LISTENING: D.LISTENING,
    P.DISMISSING: D.LISTENING,
    P.CONNECTED: D.CONNECTED,
    P.SUSPENDING: D.SUSPENDING,
    P.SUSPENDED: D.SUSPENDED,
    P.QUEUED: D.SUSPENDED,
    P.PREPARING: D.SUSPENDED,
    P.TOGGLED: D.STARTING,
    P.STOPPING: D.STOPPING,
    P.GIVEN_UP: D.OFF,
}
"""What the rest of the program, REST and the log call each phase."""


class DisplayEvent(StrEnum):
    """What can happen to a display."""

    # of nxagent's log
    BEGINS = "begins"
    """nxagent starts or resumes a session; it does not listen yet."""
    LISTENS = "listens"
    """nxagent waits for a client."""
    CONNECTED = "connected"
    """A client's proxy has finished its greeting."""
    SUSPENDS = "suspends"
    """nxagent begins to drop its client."""
    SUSPENDED = "suspended"
    """No client; the programs live on."""
    ENDS = "ends"
    """nxagent begins to end."""
    GONE = "gone"
    """nxagent has ended, by its log or because its process is gone."""
    # of the node
    START_ASKED = "start_asked"
    """The session script's `start` is about to run."""
    RESUME_ASKED = "resume_asked"
    """A client wants a suspended display."""
    SLOT_GIVEN = "slot_given"
    """The display has its redraw slot."""
    SLOT_LOST = "slot_lost"
    """Its slot is over, or the parameters have changed meanwhile: it must queue again."""
    PREPARED = "prepared"
    """The parameters of the newest client are written: SIGHUP is about to be sent."""
    RESUME_FAILED = "resume_failed"
    """The script failed, or SIGHUP could not be sent."""
    DISMISS_ASKED = "dismiss_asked"
    """A client wants the display, which listens with other parameters."""
    DISMISS_FAILED = "dismiss_failed"
    """The display could not be dialled."""
    GIVEN_UP = "given_up"
    """It is not to be started again."""


E = DisplayEvent

TRANSITIONS: Final[dict[DisplayPhase, dict[DisplayEvent, DisplayPhase]]] = {
    P.OFF: {
        E.START_ASKED: P.STARTING,
        E.GIVEN_UP: P.GIVEN_UP,
    },
    P.UNREAD: {},  # the log's history says what comes next, see `replay`
    P.STARTING: {
        E.LISTENS: P.LISTENING,
        E.CONNECTED: P.CONNECTED,
        E.SUSPENDS: P.SUSPENDING,
        E.SUSPENDED: P.SUSPENDED,
        E.ENDS: P.STOPPING,
        E.GONE: P.OFF,
        E.GIVEN_UP: P.GIVEN_UP,
    },
    P.LISTENING: {
        E.DISMISS_ASKED: P.DISMISSING,
        E.CONNECTED: P.CONNECTED,
        E.SUSPENDS: P.SUSPENDING,
        E.SUSPENDED: P.SUSPENDED,
        E.ENDS: P.STOPPING,
        E.GONE: P.OFF,
    },
    P.DISMISSING: {
        E.DISMISS_FAILED: P.LISTENING,
        E.CONNECTED: P.CONNECTED,
        E.SUSPENDS: P.SUSPENDING,
        E.SUSPENDED: P.SUSPENDED,
        E.ENDS: P.STOPPING,
        E.GONE: P.OFF,
    },
    P.CONNECTED: {
        E.SUSPENDS: P.SUSPENDING,
        E.SUSPENDED: P.SUSPENDED,
        E.ENDS: P.STOPPING,
        E.GONE: P.OFF,
    },
    P.SUSPENDING: {
        E.SUSPENDED: P.SUSPENDED,
        E.ENDS: P.STOPPING,
        E.GONE: P.OFF,
    },
    P.SUSPENDED: {
        E.RESUME_ASKED: P.QUEUED,
        E.BEGINS: P.STARTING,
        E.LISTENS: P.LISTENING,
        E.ENDS: P.STOPPING,
        E.GONE: P.OFF,
    },
    P.QUEUED: {
        E.SLOT_GIVEN: P.PREPARING,
        E.BEGINS: P.STARTING,
        E.LISTENS: P.LISTENING,
        E.ENDS: P.STOPPING,
        E.GONE: P.OFF,
    },
    P.PREPARING: {
        E.PREPARED: P.TOGGLED,
        E.SLOT_LOST: P.QUEUED,
        E.RESUME_FAILED: P.SUSPENDED,
        E.BEGINS: P.STARTING,
        E.LISTENS: P.LISTENING,
        E.ENDS: P.STOPPING,
        E.GONE: P.OFF,
    },
    P.TOGGLED: {
        E.BEGINS: P.STARTING,
        E.LISTENS: P.LISTENING,
        E.CONNECTED: P.CONNECTED,
        E.SUSPENDS: P.SUSPENDING,
        E.SUSPENDED: P.SUSPENDED,
        E.RESUME_FAILED: P.SUSPENDED,
        E.ENDS: P.STOPPING,
        E.GONE: P.OFF,
    },
    P.STOPPING: {
        E.GONE: P.OFF,
    },
    P.GIVEN_UP: {},
}


def step(phase: DisplayPhase, event: DisplayEvent) -> DisplayPhase | None:
    """The next phase, or None where the event means nothing."""
    return TRANSITIONS[phase].get(event)


def replay(events: tuple[DisplayEvent, ...]) -> tuple[DisplayPhase, bool]:
    """The phase of a display whose log holds these events, and whether it ever had a client.

    Used to adopt a display: the process that started it is gone, so its first event counts as its
    start. A log that was trimmed begins with SUSPENDED, so its display had a client.
    """
    phase, ever_connected = P.OFF, False
    for event in events:
        if phase is P.OFF and event not in {E.ENDS, E.GONE}:
            phase = P.STARTING
        phase = step(phase, event) or phase
        ever_connected = ever_connected or event in {E.CONNECTED, E.SUSPENDED}
    return phase, ever_connected
