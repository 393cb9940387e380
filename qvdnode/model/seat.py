"""Values that connect a client's stream with a guest's display; the values can cross a wire."""

from dataclasses import dataclass
from typing import NewType, Protocol

from qvdnode.model.ids import Generation, NodeId, VmId

ViewerId = NewType("ViewerId", str)
"""Random, so that events for clients of an earlier process reach no client of this one."""


class Progress(Protocol):
    """Where a use case tells the waiting client what is going on."""

    def __call__(self, sentence: str, /) -> None:
        """Show one sentence to the client; must not block."""
        ...


@dataclass(frozen=True, slots=True)
class Viewer:
    """A client that wants a display: events for it carry this value to the node that has it."""

    id: ViewerId
    node_id: NodeId | None
    """The node that the client is connected to; None for one that has not joined the farm."""


@dataclass(frozen=True, slots=True)
class Progressed:
    """Show the waiting client one sentence."""

    viewer: Viewer
    sentence: str


@dataclass(frozen=True, slots=True)
class Evicted:
    """Close the client's stream soon, and report its end to the host of the desktop."""

    viewer: Viewer
    reason: str


ViewerEvent = Progressed | Evicted
"""What the host of a desktop reports to the node of a client."""


@dataclass(frozen=True, slots=True)
class DisplayAddress:
    """Where the guest's display listens for one NX stream."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Seat:
    """A display made ready for one client: dial it, then report when the stream ends."""

    node_id: NodeId | None
    """The node that runs the VM; None for one that has not joined the farm."""
    vm_id: VmId
    generation: Generation
    address: DisplayAddress
    ticket: int
    """Grows with each attachment of this VM; a stale one is ignored."""
