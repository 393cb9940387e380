"""States and events of a guest: one table for every driver, no I/O.

Rule 1: every change of a guest's state is a row of TRANSITIONS.
Rule 2: CLEANING is entered only from KILLING, so nothing is unmounted under a running process.
Rule 3: a guest is thawed before anything else is done with it: see ON_EXIT.
Rule 4: this file does not know which driver runs the guest.
"""

from enum import StrEnum
from typing import Final

from qvdnode.model.vm_state import VmState as S


class GuestEvent(StrEnum):
    """What can happen to a guest."""

    START_ASKED = "start_asked"
    """Somebody wants it to run."""
    STOP_ASKED = "stop_asked"
    """Somebody wants it to end."""
    LAUNCHED = "launched"
    """Its PID 1 runs."""
    DISPLAY_LISTENS = "display_listens"
    """Its display waits for the first client."""
    PREPARED = "prepared"
    """It is up, and nobody waits for its display, which its first client starts."""
    BRING_UP_FAILED = "bring_up_failed"
    """A step of the bring-up failed, or it took too long."""
    DISPLAY_DIED = "display_died"
    """The desktop or nxagent is gone for good."""
    EXITED = "exited"
    """PID 1 is gone."""
    LIMIT_PASSED = "limit_passed"
    """It did not end by itself in time."""
    FILLS_DISK = "fills_disk"
    """It writes so much that it has to end, and may do so by itself."""
    FILLED_DISK = "filled_disk"
    """It writes so much that it must be gone at once."""
    LEASE_LOST = "lease_lost"
    """This node may not run it any more."""
    NOTHING_LEFT = "nothing_left"
    """No process of the guest is left."""
    CLEANED = "cleaned"
    """Nothing of it is left on the host."""
    CLEANED_AFTER_FAILURE = "cleaned_after_failure"
    """The same, but it ended because something failed."""
    HIBERNATE_ASKED = "hibernate_asked"
    """Nobody uses it, and its memory is to go to swap."""
    WAKE_ASKED = "wake_asked"
    """Somebody wants to use it."""
    FREEZE_FAILED = "freeze_failed"
    """The kernel could not freeze it."""
    FOUND_FROZEN = "found_frozen"
    """An earlier process of this node left it hibernated, whole."""
    FOUND_RUNNING = "found_running"
    """An earlier process of this node left it running, whole."""
    BROKEN = "broken"
    """It is incomplete or in an unknown state, and must be killed."""


class Action(StrEnum):
    """What is done on entering a state. Each is safe to repeat, and none waits."""

    BRING_UP = "bring_up"
    """Queue for a start slot, make everything that the guest needs, and launch it."""
    START_DISPLAY = "start_display"
    """Watch the guest's PID 1 and read the display's log; start the display for a client."""
    CANCEL_BRING_UP = "cancel_bring_up"
    """End a bring-up that still runs; what it made is cleaned later."""
    EVICT_VIEWER = "evict_viewer"
    """Close the stream of the client that is attached."""
    SHUT_DOWN = "shut_down"
    """Ask desktop and guest to end by themselves, and set a limit."""
    KILL = "kill"
    """End every process of the guest; retry until none is left."""
    CLEAN = "clean"
    """Undo what the bring-up made, newest first; retry until it is gone."""
    RECORD = "record"
    """Write the state to the VM's row, now or when the database is back."""
    RELEASE = "release"
    """Give the row up: no owner, final state."""
    FREEZE = "freeze"
    """Keep its processes from running, then push its memory to swap."""
    THAW = "thaw"
    """Let its processes run."""
    HAND_OVER = "hand_over"
    """The desktop is up, or prepared: give the start slot to the next VM."""
    ANSWER = "answer"
    """Answer those who waited for this state."""


E = GuestEvent

TRANSITIONS: Final[dict[S, dict[GuestEvent, S]]] = {
    S.STOPPED: {
        E.START_ASKED: S.PREPARING,
        E.FOUND_RUNNING: S.RUNNING,
        E.FOUND_FROZEN: S.HIBERNATED,
        E.BROKEN: S.KILLING,
    },
    S.PREPARING: {
        E.LAUNCHED: S.BOOTING,
        E.STOP_ASKED: S.KILLING,
        E.BRING_UP_FAILED: S.KILLING,
        E.FILLS_DISK: S.KILLING,
        E.FILLED_DISK: S.KILLING,
        E.LEASE_LOST: S.KILLING,
        E.BROKEN: S.KILLING,
    },
    S.BOOTING: {
        E.DISPLAY_LISTENS: S.RUNNING,
        E.PREPARED: S.RUNNING,
        E.STOP_ASKED: S.STOPPING,
        E.BRING_UP_FAILED: S.KILLING,
        E.DISPLAY_DIED: S.KILLING,
        E.EXITED: S.KILLING,
        E.FILLS_DISK: S.KILLING,
        E.FILLED_DISK: S.KILLING,
        E.LEASE_LOST: S.KILLING,
        E.BROKEN: S.KILLING,
    },
    S.RUNNING: {
        E.HIBERNATE_ASKED: S.HIBERNATED,
        E.STOP_ASKED: S.STOPPING,
        E.DISPLAY_DIED: S.STOPPING,
        E.EXITED: S.KILLING,
        E.FILLS_DISK: S.STOPPING,
        E.FILLED_DISK: S.KILLING,
        E.LEASE_LOST: S.KILLING,
        E.BROKEN: S.KILLING,
    },
    S.HIBERNATED: {
        E.WAKE_ASKED: S.RUNNING,
        E.FREEZE_FAILED: S.RUNNING,
        E.STOP_ASKED: S.STOPPING,
        E.DISPLAY_DIED: S.STOPPING,  # its last log lines came late
        E.EXITED: S.KILLING,
        E.FILLS_DISK: S.STOPPING,
        E.FILLED_DISK: S.KILLING,
        E.LEASE_LOST: S.KILLING,
        E.BROKEN: S.KILLING,
    },
    S.STOPPING: {
        E.EXITED: S.KILLING,
        E.LIMIT_PASSED: S.KILLING,
        E.FILLED_DISK: S.KILLING,
        E.LEASE_LOST: S.KILLING,
        E.BROKEN: S.KILLING,
    },
    S.KILLING: {
        E.NOTHING_LEFT: S.CLEANING,
    },
    S.CLEANING: {
        E.CLEANED: S.STOPPED,
        E.CLEANED_AFTER_FAILURE: S.FAILED,
    },
    S.FAILED: {
        E.START_ASKED: S.PREPARING,
        E.STOP_ASKED: S.STOPPED,
    },
}

ON_ENTRY: Final[dict[S, tuple[Action, ...]]] = {
    S.STOPPED: (Action.RELEASE, Action.ANSWER),
    S.PREPARING: (Action.BRING_UP,),
    S.BOOTING: (Action.RECORD, Action.START_DISPLAY),
    S.RUNNING: (Action.RECORD, Action.HAND_OVER, Action.ANSWER),
    S.HIBERNATED: (Action.FREEZE, Action.RECORD),
    S.STOPPING: (
        Action.CANCEL_BRING_UP,
        Action.EVICT_VIEWER,
        Action.RECORD,
        Action.SHUT_DOWN,
    ),
    S.KILLING: (Action.CANCEL_BRING_UP, Action.EVICT_VIEWER, Action.RECORD, Action.KILL),
    S.CLEANING: (Action.CLEAN,),
    S.FAILED: (Action.RELEASE, Action.ANSWER),
}

ON_EXIT: Final[dict[S, tuple[Action, ...]]] = {
    # A frozen process cannot end, answer or be waited for.
    S.HIBERNATED: (Action.THAW,),
}


def step(state: S, event: GuestEvent) -> tuple[S, tuple[Action, ...]] | None:
    """The next state and what to do on the way, or None where the event means nothing."""
    target = TRANSITIONS[state].get(event)
    return None if target is None else (target, ON_EXIT.get(state, ()) + ON_ENTRY[target])
