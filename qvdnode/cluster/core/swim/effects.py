"""What the membership asks its shell to do, and what it tells."""

from dataclasses import dataclass
from enum import StrEnum

from qvdnode.wire.swim import Address, Incarnation, Record


class MemberEvent(StrEnum):
    """What can happen to a member."""

    JOINED = "joined"
    """It was not known, or it was down."""
    UPDATED = "updated"
    """It has another address or other metadata."""
    RESTARTED = "restarted"
    """It is another process than before, and nobody saw it down: what it ran has to be asked."""
    SUSPECTED = "suspected"
    RECOVERED = "recovered"
    """It was suspected, and said that it is alive."""
    DIED = "died"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class MemberChanged:
    """Something happened to another member."""

    event: MemberEvent
    member: Record
    """As it is known now."""
    source: str
    """The name of who said so."""


@dataclass(frozen=True, slots=True)
class NameConflict:
    """Two processes use one name; the farm follows the one with the higher incarnation."""

    name: str
    address: Address
    """Of the other process, if it is this member's name, else of the one that was not known."""
    instance: bytes


@dataclass(frozen=True, slots=True)
class AddressConflict:
    """A member announces the address of another one that is up."""

    name: str
    other_name: str
    address: Address


@dataclass(frozen=True, slots=True)
class UdpUnanswered:
    """A member answers over TCP, but over UDP neither to this one nor to those that were asked."""

    name: str


@dataclass(frozen=True, slots=True)
class EpochRaised:
    """This member's start epoch was behind; it must be kept before the next start."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Stalled:
    """This process stood still; it accuses nobody until it has heard of the others again."""

    late_s: float


Event = MemberChanged | NameConflict | AddressConflict | UdpUnanswered | EpochRaised | Stalled


@dataclass(frozen=True, slots=True)
class Tick:
    """Once in a probe interval."""


@dataclass(frozen=True, slots=True)
class GossipDue:
    """Rumours wait to be sent."""


@dataclass(frozen=True, slots=True)
class ExchangeDue:
    """It is time to exchange everything with somebody."""


@dataclass(frozen=True, slots=True)
class ProbeTimeout:
    """A ping should have been answered."""

    sequence: int


@dataclass(frozen=True, slots=True)
class RelayTimeout:
    """A ping for somebody else should have been answered."""

    sequence: int


@dataclass(frozen=True, slots=True)
class SuspicionDue:
    """A suspicion may have lasted long enough."""

    name: str
    incarnation: Incarnation


Timer = Tick | GossipDue | ExchangeDue | ProbeTimeout | RelayTimeout | SuspicionDue


@dataclass(frozen=True, slots=True)
class SendDatagram:
    """Send over UDP, and forget."""

    address: Address
    data: bytes


@dataclass(frozen=True, slots=True)
class OpenStream:
    """Connect over TCP, send one message and hand in the one answer under this number."""

    number: int
    address: Address
    data: bytes
    limit_s: float
    """For all of it."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Hand the timer back after that time; one that comes too late or for nothing is ignored."""

    timer: Timer
    delay_s: float


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell the node."""

    event: Event


Effect = SendDatagram | OpenStream | Schedule | Notify
