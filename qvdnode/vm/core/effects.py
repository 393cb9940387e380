"""Every effect that the core of a VM can ask for. The shell carries them out, in order.

The core returns effects as frozen values and does nothing else, so a test can compare them. An
effect that takes long runs in a task of the shell; its end comes back as a message (messages.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import FarmError
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import Generation
from qvdnode.model.vm_state import VmState


class Timer(StrEnum):
    """What a VM sets a time limit for, or repeats."""

    BOOT = "boot"
    """Limit: from leaving the start queue to a display that listens."""
    ATTACH = "attach"
    """Limit: from a client's request to its seat, where nothing has to be started."""
    STOP = "stop"
    """Limit: for a guest to end by itself."""
    REDRAW = "redraw"
    """Limit: how long a display may hold its redraw slot."""
    HANGUP = "hangup"
    """Repeat SIGHUP, which nxagent may have ignored."""
    PROCESS = "process"
    """Repeat: read the pid of a display that starts."""
    FOLLOW = "follow"
    """Repeat: read the log of an adopted display."""


class Level(StrEnum):
    """How important a log event is."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"


# -- the guest -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BringUp:
    """Queue for a start slot, make everything that the guest needs, and launch it."""

    start: int
    """Number of this start; the messages of its tasks carry it."""
    order: DesktopOrder


@dataclass(frozen=True, slots=True)
class CancelBringUp:
    """End a bring-up between two of its steps. `Clean` removes what it made."""


@dataclass(frozen=True, slots=True)
class FinishBringUp:
    """The desktop is up: record how long it took, and give the start slot to the next VM."""

    listen_s: float | None
    """From the launch of PID 1 to a display that listens; None for a prepared one, which has no
    display yet."""
    total_s: float
    """From leaving the queue to that moment."""


@dataclass(frozen=True, slots=True)
class WatchGuest:
    """Report when the guest's PID 1 is gone. Effects of its display may come from now on."""

    start: int


@dataclass(frozen=True, slots=True)
class ShutDown:
    """Ask desktop and guest to end by themselves."""

    params: DisplayParams


@dataclass(frozen=True, slots=True)
class Freeze:
    """Keep the guest's processes from running at once; then push its memory to swap."""

    start: int


@dataclass(frozen=True, slots=True)
class Thaw:
    """Let the guest's processes run at once."""


@dataclass(frozen=True, slots=True)
class Kill:
    """End every process of the guest once its bring-up has ended. Retry until none is left."""

    start: int


@dataclass(frozen=True, slots=True)
class Clean:
    """Keep the guest's logs, then undo what the bring-up made. Retry until it is gone."""

    start: int
    reason: str
    """Why the guest ended; kept with its logs."""
    failed: bool
    """Whether that end was not requested."""


@dataclass(frozen=True, slots=True)
class ForgetGuest:
    """Drop the resources of the guest: nothing of it is left on the host."""


# -- the VM's row ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Record:
    """Write the state to the VM's row, now or when the database is back."""

    write: int
    """Number of the write; RowWritten carries it. Only the newest write counts."""
    generation: Generation
    state: VmState


@dataclass(frozen=True, slots=True)
class Release:
    """Write the final state and give the row up: the VM has no owner any more."""

    write: int
    generation: Generation
    state: VmState
    error: str | None


# -- clients and other requests --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tell:
    """Show one sentence to the client that made the request."""

    request: int
    sentence: str


@dataclass(frozen=True, slots=True)
class SeatClient:
    """Answer the client's request with the address of the display, which listens for it."""

    client: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer a request: a start or a stop is done (None), or whether a client was disconnected."""

    request: int
    result: bool | None = None


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer a request with an error."""

    request: int
    error: FarmError


@dataclass(frozen=True, slots=True)
class Evict:
    """Close the stream of the attached client."""

    client: int
    reason: str


@dataclass(frozen=True, slots=True)
class DropClient:
    """Forget a client that went away by itself."""

    client: int


# -- timers ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ArmTimer:
    """Report after that time that the timer fired. Replaces an earlier one of its kind."""

    timer: Timer
    serial: int
    seconds: float


@dataclass(frozen=True, slots=True)
class DisarmTimer:
    """Stop the timer of this kind."""

    timer: Timer


# -- the display -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FollowLog:
    """Read the display's log and report each event that is appended from now on."""


@dataclass(frozen=True, slots=True)
class CloseDisplay:
    """Stop reading the log, and give a redraw slot back."""


@dataclass(frozen=True, slots=True)
class RunStart:
    """Run the session script's `start` with these parameters."""

    run: int
    """Number of this run of the display's program."""
    params: DisplayParams


@dataclass(frozen=True, slots=True)
class PrepareResume:
    """Make the options ready: run the script's `resume`, unless the last run still holds."""

    params: DisplayParams


@dataclass(frozen=True, slots=True)
class QueueRedraw:
    """Wait for a redraw slot of the node, and report when it is this display's."""

    serial: int


@dataclass(frozen=True, slots=True)
class EndRedraw:
    """Give the redraw slot back, or leave its queue."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """Send SIGHUP to the display at once. The only effect for which a turn waits."""

    again: bool
    """Whether it repeats one that nxagent may have ignored."""


@dataclass(frozen=True, slots=True)
class Dismiss:
    """Make a listening display give up its wait, by a connection that ends at once."""


@dataclass(frozen=True, slots=True)
class FindProcess:
    """Read the display's pid from the run folder and report it."""

    run: int


@dataclass(frozen=True, slots=True)
class WatchProcess:
    """Report when the process with this guest pid is gone."""

    pid: int


@dataclass(frozen=True, slots=True)
class TrimLog:
    """Shorten the log of a suspended display when it has grown long."""


# -- log and metrics -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Log:
    """Write a log event about this VM."""

    level: Level
    event: str
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class LogLostDesktop:
    """Log why a desktop is lost, with the end of the guest's own logs."""

    reason: str


@dataclass(frozen=True, slots=True)
class NoteRetry:
    """Count and log a check of a guest that failed and will be repeated."""

    what: str
    error: FarmError


@dataclass(frozen=True, slots=True)
class CountFailure:
    """Count a failed start under the error's code."""

    code: str


GuestEffect = (
    BringUp
    | CancelBringUp
    | FinishBringUp
    | WatchGuest
    | ShutDown
    | Freeze
    | Thaw
    | Kill
    | Clean
    | ForgetGuest
)
RowEffect = Record | Release
ClientEffect = Tell | SeatClient | Answer | Refuse | Evict | DropClient
TimerEffect = ArmTimer | DisarmTimer
LogEffect = Log | NoteRetry | CountFailure
DisplayEffect = (
    FollowLog
    | CloseDisplay
    | RunStart
    | PrepareResume
    | QueueRedraw
    | EndRedraw
    | HangUp
    | Dismiss
    | FindProcess
    | WatchProcess
    | TrimLog
    | LogLostDesktop
)
Effect = GuestEffect | RowEffect | ClientEffect | TimerEffect | LogEffect | DisplayEffect
