"""What the actor does when a guest enters a state; lifecycle.py says when."""

from enum import StrEnum


class Effect(StrEnum):
    """One thing to do. Each is safe to repeat and none waits: what takes long reports back."""

    BRING_UP = "bring_up"
    """Take a turn, make everything the guest needs and launch it."""
    START_DISPLAY = "start_display"
    """Run the session script and listen to the display's log and the guest's end."""
    CANCEL_BRING_UP = "cancel_bring_up"
    """End a bring-up that still runs; what it made is cleaned later."""
    EVICT_VIEWER = "evict_viewer"
    """Close the stream of the client that is attached."""
    SHUT_DOWN = "shut_down"
    """Ask desktop and guest to end by themselves, and set a limit."""
    KILL = "kill"
    """End every process of the guest, again and again until none is left."""
    CLEAN = "clean"
    """Undo what the bring-up made, newest first, again and again until it is gone."""
    RECORD = "record"
    """Write the state to the VM's row, now or when the database is back."""
    RELEASE = "release"
    """Give the row up: no owner, final state."""
    HAND_OVER = "hand_over"
    """The desktop is there: the next start may have its turn."""
    ANSWER = "answer"
    """Answer those who waited for this state."""
