"""Values that connect a client's stream with a guest's display."""

from dataclasses import dataclass
from typing import Protocol

from qvdnode.model.ids import Generation, VmId


class Progress(Protocol):
    """Where a use case tells the waiting client what is going on."""

    def __call__(self, sentence: str, /) -> None:
        """Show one sentence to the client; must not block."""
        ...


class Viewer(Protocol):
    """The client's end of an attached session, held by the VM's actor to be able to end it."""

    def evict(self, reason: str) -> None:
        """Close the client's stream soon; its end is then reported by `Fleet.detach`."""
        ...


@dataclass(frozen=True, slots=True)
class DisplayAddress:
    """Where the guest's display listens for one NX stream."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Seat:
    """A display made ready for one client: dial it, then report when the stream ends."""

    vm_id: VmId
    generation: Generation
    address: DisplayAddress
    ticket: int
    """Grows with each attachment of this VM; a stale one is ignored."""
