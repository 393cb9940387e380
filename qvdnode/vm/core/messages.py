"""Every message that the core of a VM can get. Nothing else changes the core.

A request carries a number that the shell gave it; the answer names it again. A message of a task
carries the number of the start that the task belongs to, and is ignored once that start is over.
"""

from dataclasses import dataclass
from datetime import datetime

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import FarmError
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import Generation
from qvdnode.vm.core.display import DisplayEvent
from qvdnode.vm.core.effects import Timer


@dataclass(frozen=True, slots=True)
class Moment:
    """When a message is handled."""

    wall: datetime
    monotonic_s: float


# -- requests of people ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AttachAsked:
    """A client wants the display."""

    client: int
    order: DesktopOrder
    params: DisplayParams


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A client went away before it dialled: while it waited, or just after it got its seat."""

    client: int


@dataclass(frozen=True, slots=True)
class Detached:
    """The stream of a client has ended."""

    client: int


@dataclass(frozen=True, slots=True)
class StartAsked:
    """Somebody wants the VM to run, without a display for themselves."""

    request: int
    order: DesktopOrder


@dataclass(frozen=True, slots=True)
class StopAsked:
    """Somebody wants the VM to stop."""

    request: int


@dataclass(frozen=True, slots=True)
class DisconnectAsked:
    """An administrator wants the stream of the attached client to be closed."""

    request: int


@dataclass(frozen=True, slots=True)
class HibernateAsked:
    """The node would like to have the memory of a desktop that nobody uses."""

    request: int


# -- the node --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DiskFilled:
    """The guest writes so much that it must end before it takes space from others."""

    reason: str
    at_once: bool
    """Whether it must be killed; otherwise it may end by itself."""


@dataclass(frozen=True, slots=True)
class Found:
    """An earlier process of this node left this guest."""

    order: DesktopOrder
    acquired: Generation | None
    """Under which generation the VM's row is this node's; the guest itself may be older."""
    whole: bool
    """Whether it can run on; otherwise it must be ended."""
    error: FarmError | None
    """Why it must be ended, where that was not to be expected."""
    frozen: bool = False
    """Whether its processes are kept from running: it is hibernated."""


@dataclass(frozen=True, slots=True)
class LeaseLost:
    """The database says that this node does not own that generation of the VM any more."""

    generation: Generation


@dataclass(frozen=True, slots=True)
class RowWritten:
    """The row holds what that write asked for, or the write was given up."""

    write: int


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer has run out."""

    timer: Timer
    serial: int


@dataclass(frozen=True, slots=True)
class TurnFailed:
    """A message or an effect failed by a mistake in the program."""


@dataclass(frozen=True, slots=True)
class NodeStops:
    """The node's process ends; guests that run are left running."""


# -- one start of the guest ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartMessage:
    """Base of the messages that belong to one start."""

    start: int


@dataclass(frozen=True, slots=True)
class Queued(StartMessage):
    """The bring-up waits for a start slot at that place; 1 is next."""

    place: int


@dataclass(frozen=True, slots=True)
class ImageFetched(StartMessage):
    """The image is on its way to this node."""

    sentence: str
    """How far it is."""


@dataclass(frozen=True, slots=True)
class SlotGiven(StartMessage):
    """The bring-up has its start slot and begins."""


@dataclass(frozen=True, slots=True)
class Acquired(StartMessage):
    """The VM's row is, or may be, this node's under that generation."""

    generation: Generation


@dataclass(frozen=True, slots=True)
class Launched(StartMessage):
    """The guest's PID 1 runs."""


@dataclass(frozen=True, slots=True)
class BringUpFailed(StartMessage):
    """The bring-up is over and will not be repeated."""

    error: FarmError


@dataclass(frozen=True, slots=True)
class GuestExited(StartMessage):
    """The guest's PID 1 is gone."""

    because: str | None = None
    """A clause, where its driver knows why."""


@dataclass(frozen=True, slots=True)
class FreezeFailed(StartMessage):
    """The guest could not be frozen, and must not be taken for hibernated."""

    error: FarmError


@dataclass(frozen=True, slots=True)
class NothingLeft(StartMessage):
    """No process of the guest is left, and no step of its bring-up runs."""


@dataclass(frozen=True, slots=True)
class Cleaned(StartMessage):
    """Nothing of the guest is left on the host."""


# -- the display of one start ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DisplayMessage(StartMessage):
    """Base of the messages about the display of one start."""


@dataclass(frozen=True, slots=True)
class LogFollowed(DisplayMessage):
    """The display's log is read from now on; these events it held already."""

    history: tuple[DisplayEvent, ...]


@dataclass(frozen=True, slots=True)
class LogNotFollowed(DisplayMessage):
    """The display's log could not be read."""

    error: FarmError
    gone: bool
    """Whether it never can be: a part of the guest is missing."""


@dataclass(frozen=True, slots=True)
class DisplayHeard(DisplayMessage):
    """The display's log has grown by these events."""

    events: tuple[DisplayEvent, ...]
    desktop_exit: int | None = None
    """Exit code of the desktop's program, where the display is gone and the guest noted one."""


@dataclass(frozen=True, slots=True)
class StartScriptEnded(DisplayMessage):
    """The session script's `start` has ended well."""

    run: int
    params: DisplayParams
    ran_already: bool
    """Whether there was a display, so that nothing was started."""


@dataclass(frozen=True, slots=True)
class ResumePrepared(DisplayMessage):
    """The display will read these parameters when it resumes."""

    params: DisplayParams


@dataclass(frozen=True, slots=True)
class DisplayDismissed(DisplayMessage):
    """The connection that dismisses the display was made; its log reports the effect."""


@dataclass(frozen=True, slots=True)
class DisplayTaskFailed(DisplayMessage):
    """Something that the display was to do failed."""

    what: str
    """`start`, `resume` or `dismiss`."""
    error: FarmError


@dataclass(frozen=True, slots=True)
class RedrawSlotGiven(DisplayMessage):
    """The display has the redraw slot that it queued for."""

    serial: int


@dataclass(frozen=True, slots=True)
class HangUpMissed(DisplayMessage):
    """SIGHUP found no process: the display is gone."""


@dataclass(frozen=True, slots=True)
class HangUpFailed(DisplayMessage):
    """SIGHUP could not be sent."""

    again: bool
    error: FarmError


@dataclass(frozen=True, slots=True)
class ProcessFound(DisplayMessage):
    """The run folder names that guest pid for the display."""

    run: int
    pid: int


@dataclass(frozen=True, slots=True)
class DisplayProcessGone(DisplayMessage):
    """The process with that guest pid is gone, and its last log lines have been read."""

    pid: int
    desktop_exit: int | None = None
    """As of DisplayHeard."""


Request = (
    AttachAsked
    | Withdrawn
    | Detached
    | StartAsked
    | StopAsked
    | DisconnectAsked
    | HibernateAsked
    | DiskFilled
    | Found
    | LeaseLost
    | RowWritten
    | TimerFired
    | TurnFailed
    | NodeStops
)
OfGuest = (
    Queued
    | ImageFetched
    | SlotGiven
    | Acquired
    | Launched
    | BringUpFailed
    | GuestExited
    | FreezeFailed
    | NothingLeft
    | Cleaned
)
OfDisplayTask = (
    LogFollowed
    | LogNotFollowed
    | StartScriptEnded
    | ResumePrepared
    | DisplayDismissed
    | DisplayTaskFailed
    | RedrawSlotGiven
    | HangUpMissed
    | HangUpFailed
    | ProcessFound
    | DisplayProcessGone
)
OfDisplay = DisplayHeard | OfDisplayTask
Message = Request | OfGuest | OfDisplay
