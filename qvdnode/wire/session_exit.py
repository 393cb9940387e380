"""Exit codes of the session script in a guest (docs/protocol/session-script.md)."""

from enum import IntEnum


class SessionExit(IntEnum):
    """The exit code of a verb."""

    DONE = 0
    """Of `start`: launched, but nxagent does not listen yet."""
    FAILED = 1
    """The guest's session.log says why."""
    UNKNOWN_VERB = 2
    BAD_PARAMETERS = 3
    """They are missing, or not acceptable."""
    ALREADY_RUNNING = 4
    """Of `start`: there is a display."""
    NOT_RUNNING = 5
    """Of `resume`, `suspend` and `status`: there is no display."""
    OPTIONS_HOLD = 6
    """Of `resume`: done, and not needed again while the parameters stay the same."""
