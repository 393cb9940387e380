"""What one node can ask of another: the port to a desktop's host, as values.

Each call is a name, its arguments and its answer (docs/peer-protocol.md). A new version may add
calls, and fields with defaults; it never changes what is there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from qvdnode.model.console import ConsoleOutput, ConsoleWish
from qvdnode.model.display_params import DisplayParams
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.guest import GuestMemory
from qvdnode.model.home_files import FileListing, FilePart, Upload, UploadState
from qvdnode.model.ids import Generation, VmId
from qvdnode.model.image_commit import CommitRecord, CommitWish
from qvdnode.model.seat import Seat, Viewer
from qvdnode.vm.core.start_record import StartRecord
from qvdnode.vm.status import GuestStatus

Arguments = TypeVar("Arguments")
Value = TypeVar("Value")

QUICK_S: Final = 10.0
"""For what the other node only reads."""
FILES_S: Final = 30.0
"""For what may wait for a disk of the other node."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """No arguments."""


@dataclass(frozen=True, slots=True)
class OfVm:
    """A VM by its id."""

    vm_id: VmId


@dataclass(frozen=True, slots=True)
class TypeText:
    """See DesktopHost.type_text."""

    vm_id: VmId
    text: str


@dataclass(frozen=True, slots=True)
class UseConsole:
    """See DesktopHost.console."""

    vm_id: VmId
    wish: ConsoleWish


@dataclass(frozen=True, slots=True)
class CommitChanges:
    """See DesktopHost.commit."""

    vm_id: VmId
    wish: CommitWish


@dataclass(frozen=True, slots=True)
class ListFiles:
    """See DesktopHost.list_files."""

    vm_id: VmId
    path: str


@dataclass(frozen=True, slots=True)
class ReadFile:
    """See DesktopHost.read_file."""

    vm_id: VmId
    path: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class UploadPart:
    """See DesktopHost.upload."""

    vm_id: VmId
    upload: Upload
    offset: int
    content: bytes


@dataclass(frozen=True, slots=True)
class CancelUpload:
    """See DesktopHost.cancel_upload."""

    vm_id: VmId
    upload: Upload


@dataclass(frozen=True, slots=True)
class Attach:
    """See DesktopHost.attach."""

    order: DesktopOrder
    params: DisplayParams
    viewer: Viewer


@dataclass(frozen=True, slots=True)
class Start:
    """See DesktopHost.start."""

    order: DesktopOrder
    viewer: Viewer | None


@dataclass(frozen=True, slots=True)
class SeatKey:
    """A seat that a node was given."""

    vm_id: VmId
    generation: Generation
    ticket: int


@dataclass(frozen=True, slots=True)
class HeldSeats:
    """All seats that the sender of the notice has: it was given others in vain."""

    seats: Sequence[SeatKey]


@dataclass(frozen=True, slots=True)
class OpenStream:
    """Connect the stream to the display of a seat that this viewer was given."""

    seat: SeatKey
    viewer: Viewer


@dataclass(frozen=True, slots=True)
class CallKind(Generic[Arguments, Value]):
    """One kind of call."""

    name: str
    arguments: type[Arguments]
    value: Any
    """The type of the answer, as wire.typed_values reads it."""
    limit_s: float
    """After which its caller gives it up. The host's own limits are shorter."""


ATTACH: Final[CallKind[Attach, Seat]] = CallKind("attach", Attach, Seat, 900.0)
START: Final[CallKind[Start, None]] = CallKind("start", Start, None, 900.0)
STOP: Final[CallKind[OfVm, None]] = CallKind("stop", OfVm, None, 600.0)
DISCONNECT: Final[CallKind[OfVm, bool]] = CallKind("disconnect", OfVm, bool, QUICK_S)
STATUS: Final[CallKind[OfVm, GuestStatus | None]] = CallKind(
    "status", OfVm, GuestStatus | None, QUICK_S
)
STATUSES: Final[CallKind[Nothing, Sequence[GuestStatus]]] = CallKind(
    "statuses", Nothing, Sequence[GuestStatus], QUICK_S
)
MEMORY: Final[CallKind[OfVm, GuestMemory | None]] = CallKind(
    "memory", OfVm, GuestMemory | None, QUICK_S
)
TYPE_TEXT: Final[CallKind[TypeText, None]] = CallKind("type_text", TypeText, None, 60.0)
CONSOLE: Final[CallKind[UseConsole, ConsoleOutput]] = CallKind(
    "console", UseConsole, ConsoleOutput, 20.0
)
COMMIT: Final[CallKind[CommitChanges, CommitRecord]] = CallKind(
    "commit", CommitChanges, CommitRecord, 900.0
)
LIST_FILES: Final[CallKind[ListFiles, FileListing]] = CallKind(
    "list_files", ListFiles, FileListing, FILES_S
)
READ_FILE: Final[CallKind[ReadFile, FilePart]] = CallKind("read_file", ReadFile, FilePart, FILES_S)
UPLOAD: Final[CallKind[UploadPart, UploadState]] = CallKind(
    "upload", UploadPart, UploadState, FILES_S
)
CANCEL_UPLOAD: Final[CallKind[CancelUpload, None]] = CallKind(
    "cancel_upload", CancelUpload, None, FILES_S
)
LOG_TAIL: Final[CallKind[OfVm, str]] = CallKind("log_tail", OfVm, str, QUICK_S)
PAST_STARTS: Final[CallKind[OfVm, Sequence[StartRecord]]] = CallKind(
    "past_starts", OfVm, Sequence[StartRecord], QUICK_S
)
OPEN_STREAM: Final[CallKind[OpenStream, None]] = CallKind("open_stream", OpenStream, None, QUICK_S)
"""The only call on a connection for a stream, and its first frame."""

HELD: Final = "held"
"""The notice of HeldSeats, first on each connection for calls."""
DETACHED: Final = "detached"
"""The notice that the stream of a SeatKey has ended."""
PROGRESSED: Final = "progressed"
EVICTED: Final = "evicted"
"""Notices of model.seat's events, from the host of a desktop."""
DESKTOPS: Final = "desktops"
"""The notice of running_desktops.DesktopNews, from the node that was dialled."""


def key_of(seat: Seat) -> SeatKey:
    """What names the seat between two nodes."""
    return SeatKey(seat.vm_id, seat.generation, seat.ticket)
