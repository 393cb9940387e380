"""The effects that the shell carries out, the timers, and the events for the node."""

from dataclasses import dataclass
from enum import StrEnum

from qvdnode.wire.swim import Address, Incarnation, Record


class MemberEvent(StrEnum):
    """What can happen to a member."""

    JOINED = "joined"
    """It was unknown or down before."""
    UPDATED = "updated"
    """It has another address or other metadata."""
    RESTARTED = "restarted"
    """Its process restarted and nobody saw it down: ask it which guests still run."""
    SUSPECTED = "suspected"
    RECOVERED = "recovered"
    """It was suspected, and has refuted that."""
    DIED = "died"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class MemberChanged:
    """Something happened to another member."""

    event: MemberEvent
    member: Record
    """Its record after the change."""
    source: str
    """The name of the member that reported it."""


@dataclass(frozen=True, slots=True)
class NameConflict:
    """Two processes use one name; the farm follows the one with the higher incarnation."""

    name: str
    address: Address
    """Address of the other process if this member has the name, else of the later process."""
    instance: bytes


@dataclass(frozen=True, slots=True)
class AddressConflict:
    """Two members that are up announce one address."""

    name: str
    other_name: str
    address: Address


@dataclass(frozen=True, slots=True)
class UdpUnanswered:
    """A member answers over TCP, but not over UDP, neither to this member nor to its helpers."""

    name: str


@dataclass(frozen=True, slots=True)
class EpochRaised:
    """This member's start epoch was too low and was raised; store it before the next start."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Stalled:
    """This process was blocked; it accuses nobody for some probe intervals."""

    late_s: float


Event = MemberChanged | NameConflict | AddressConflict | UdpUnanswered | EpochRaised | Stalled


@dataclass(frozen=True, slots=True)
class Tick:
    """A probe interval has passed."""


@dataclass(frozen=True, slots=True)
class GossipDue:
    """Rumours wait to be sent."""


@dataclass(frozen=True, slots=True)
class ExchangeDue:
    """It is time for a full exchange with a random member."""


@dataclass(frozen=True, slots=True)
class ProbeTimeout:
    """The time for the answer to a ping has passed."""

    sequence: int


@dataclass(frozen=True, slots=True)
class RelayTimeout:
    """The time for the answer to a ping on behalf of another member has passed."""

    sequence: int


@dataclass(frozen=True, slots=True)
class SuspicionDue:
    """A suspicion may have lasted long enough."""

    name: str
    incarnation: Incarnation


Timer = Tick | GossipDue | ExchangeDue | ProbeTimeout | RelayTimeout | SuspicionDue


@dataclass(frozen=True, slots=True)
class SendDatagram:
    """Send over UDP, without waiting for an answer."""

    address: Address
    data: bytes


@dataclass(frozen=True, slots=True)
class OpenStream:
    """Connect over TCP, send one message, and hand the one answer in under this number."""

    number: int
    address: Address
    data: bytes
    limit_s: float
    """For the whole exchange."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Hand the timer in after the delay. The machine ignores a timer that no longer applies."""

    timer: Timer
    delay_s: float


@dataclass(frozen=True, slots=True)
class Notify:
    """Pass the event to the node."""

    event: Event


Effect = SendDatagram | OpenStream | Schedule | Notify
