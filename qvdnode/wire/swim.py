"""Packets and stream messages of the membership protocol: msgpack, bounded, pure.

A packet is a header and the messages behind it, each a msgpack array of its own, so that a sender
can put together what it encoded before. A reader skips kinds of messages that it does not know and
fields at the end of those it knows: an older program can read a newer one.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, Final, NamedTuple, TypeAlias

import msgpack

Received: TypeAlias = Any
"""Whatever somebody sent, before it is checked."""

VERSION: Final = 1
READABLE_SINCE: Final = 1
"""The oldest version that can read what this one writes."""
NAME_MAX_BYTES: Final = 64
METADATA_MAX_BYTES: Final = 512
INSTANCE_BYTES: Final = 8
EPOCH_MAX: Final = 2**48
COUNTER_MAX: Final = 2**32
SEQUENCE_MAX: Final = 2**32 - 1
KIND_MAX: Final = 255
_OCTET: Final = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
IPV4: Final = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
END: Final = b"\xc0"
"""A msgpack nil."""
RECORDS_MAX: Final = 8192
"""Members that one exchange may carry."""


class Refusal(StrEnum):
    """Why received bytes were not used."""

    MALFORMED = "malformed"
    FOREIGN_FARM = "foreign_farm"
    OTHER_VERSION = "other_version"


class SwimError(ValueError):
    """Received bytes that are not a packet of this farm; nothing was changed."""

    def __init__(self, refusal: Refusal, detail: str) -> None:
        super().__init__(detail)
        self.refusal = refusal


class MemberState(IntEnum):
    """What is believed of a member; of two beliefs about one incarnation the higher one wins."""

    ALIVE = 0
    """It answers, or said itself that it is there."""
    SUSPECT = 1
    """It did not answer somebody, and may still say that it is alive."""
    DEAD = 2
    """It did not answer for too long."""
    LEFT = 3
    """It left the farm."""


class Address(NamedTuple):
    """Where a member receives, over UDP and TCP."""

    host: str
    """An IP address as `ipaddress` writes it."""
    port: int


class Incarnation(NamedTuple):
    """Which life of a member is meant; only the member itself moves on to a higher one."""

    epoch: int
    """Counts the starts of the node's process; kept on disk."""
    instance: bytes
    """Random, one per process; two processes of one epoch differ in it."""
    counter: int
    """Counts what the process said about itself."""


class Record(NamedTuple):
    """All that is known of a member."""

    name: str
    address: Address
    incarnation: Incarnation
    state: MemberState
    metadata: bytes


class Sender(NamedTuple):
    """Who wrote a packet."""

    name: str
    incarnation: Incarnation


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks the member of that name for an Ack with the same number."""

    sequence: int
    target: str


@dataclass(frozen=True, slots=True)
class Ack:
    """The answer to a Ping, or to an IndirectPing that was answered."""

    sequence: int


@dataclass(frozen=True, slots=True)
class IndirectPing:
    """Asks for a Ping of another member, and for Ack or Nack with this number."""

    sequence: int
    target: str
    address: Address


@dataclass(frozen=True, slots=True)
class Nack:
    """The member that an IndirectPing named did not answer."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Alive:
    """A member says what it is; `record.state` is ALIVE."""

    record: Record


@dataclass(frozen=True, slots=True)
class Accusation:
    """A member is SUSPECT, DEAD or LEFT; `accuser` says so, itself if it left."""

    state: MemberState
    name: str
    incarnation: Incarnation
    accuser: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """Everything the sender knows; answered in kind. Only on a stream."""

    joining: bool
    """Whether the sender knows nobody yet."""
    records: tuple[Record, ...]


Message = Ping | Ack | IndirectPing | Nack | Alive | Accusation | Exchange


@dataclass(frozen=True, slots=True)
class Packet:
    """What one datagram or stream message holds."""

    sender: Sender
    messages: tuple[Message, ...]


def farm_tag(farm: str) -> bytes:
    """Eight bytes that stand for a farm's id in each packet."""
    return hashlib.blake2s(farm.encode(), digest_size=8).digest()


def encode_header(tag: bytes, sender: Sender) -> bytes:
    """The start of every packet; messages are appended to it."""
    name, incarnation = sender
    return _pack([VERSION, READABLE_SINCE, tag, name, *incarnation])


def encode(message: Message) -> bytes:  # noqa: PLR0911 - one line for each kind
    """One message, to be appended to a header."""
    match message:
        case Ping(sequence, target):
            return _pack([1, sequence, target])
        case Ack(sequence):
            return _pack([2, sequence])
        case IndirectPing(sequence, target, address):
            return _pack([3, sequence, target, *address])
        case Nack(sequence):
            return _pack([4, sequence])
        case Alive(record):
            return _pack([5, *_flat(record)])
        case Accusation(state, name, incarnation, accuser):
            return _pack([6, state, name, *incarnation, accuser])
        case _:
            return _pack([7, message.joining, [_flat(record) for record in message.records]])


def decode(data: bytes, tag: bytes) -> Packet:
    """The packet that these bytes are, for the farm of that tag; raises SwimError."""
    header, *bodies = _unpack(data)
    sender = _header(header, tag)
    messages = []
    for fields in bodies:
        (kind,) = _exactly(fields, 1)
        reader = READERS.get(_number(kind, KIND_MAX))
        if reader is not None:
            messages.append(reader(fields))
    return Packet(sender, tuple(messages))


def _pack(fields: Sequence[Any]) -> bytes:
    packed: bytes = msgpack.packb(fields)
    return packed


def _unpack(data: bytes) -> list[Any]:
    """The msgpack values that follow one another; at least one."""
    reader = msgpack.Unpacker(
        use_list=False,
        max_buffer_size=len(data) + len(END),
        object_pairs_hook=_refuse_map,
        max_ext_len=0,
        max_array_len=RECORDS_MAX,
    )
    try:
        # The library does not tell a value that is cut off from a clean end; that swallows a nil.
        reader.feed(data + END)
        values = list(reader)
    except (ValueError, msgpack.UnpackException) as error:
        raise SwimError(Refusal.MALFORMED, f"not msgpack: {error}") from error
    _require(len(values) > 1 and values.pop() is None, "empty or cut off")
    return values


def _refuse_map(_pairs: Received) -> Received:
    raise ValueError("there are no maps in a packet")


def _header(fields: Received, tag: bytes) -> Sender:
    _require(isinstance(fields, tuple) and len(fields) >= 3, "no header")
    if type(fields[1]) is not int or fields[1] > VERSION:
        raise SwimError(Refusal.OTHER_VERSION, "written by a newer program")
    if fields[2] != tag:
        raise SwimError(Refusal.FOREIGN_FARM, "written for another farm")
    _, _, _, name, *incarnation = _exactly(fields, 7)
    return Sender(_name(name), _incarnation(incarnation))


def _require(kept: bool, detail: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not kept:
        raise SwimError(Refusal.MALFORMED, detail)


def _exactly(fields: Received, count: int) -> tuple[Any, ...]:
    """The first `count` fields; more may come of a newer program."""
    _require(isinstance(fields, tuple) and len(fields) >= count, "fields are missing")
    known: tuple[Any, ...] = fields[:count]
    return known


def _number(value: Received, most: int) -> int:
    _require(type(value) is int and 0 <= value <= most, "a number out of its bounds")
    number: int = value
    return number


def _name(value: Received) -> str:
    _require(isinstance(value, str) and value.isprintable(), "a name that is not text")
    _require(0 < len(value.encode()) <= NAME_MAX_BYTES, "a name that is too long or empty")
    name: str = value
    return name


def _incarnation(fields: Sequence[Received]) -> Incarnation:
    epoch, instance, counter = fields
    _require(isinstance(instance, bytes) and len(instance) == INSTANCE_BYTES, "a bad instance id")
    return Incarnation(_number(epoch, EPOCH_MAX), instance, _number(counter, COUNTER_MAX))


def _address(host: Received, port: Received) -> Address:
    # A name in its place would make the system resolve it, and one address must have one spelling.
    _require(isinstance(host, str) and _is_spelled_right(host), "not an IP address")
    return Address(host, _number(port, 65535))


def _is_spelled_right(host: str) -> bool:
    if IPV4.fullmatch(host):
        return True
    try:
        return ":" in host and "%" not in host and str(ip_address(host)) == host
    except ValueError:
        return False


def _flat(record: Record) -> list[Any]:
    name, address, incarnation, state, metadata = record
    return [name, *address, *incarnation, state, metadata]


@lru_cache(maxsize=RECORDS_MAX)
def _record(fields: tuple[Received, ...]) -> Record:
    """A member's record; kept, since members say the same of one another again and again."""
    name, host, port, *incarnation, state, metadata = fields
    _require(
        isinstance(metadata, bytes) and len(metadata) <= METADATA_MAX_BYTES, "metadata is too long"
    )
    return Record(
        _name(name), _address(host, port), _incarnation(incarnation), _state(state), metadata
    )


def _state(value: Received) -> MemberState:
    return MemberState(_number(value, MemberState.LEFT))


def _read_ping(fields: Received) -> Message:
    _, sequence, target = _exactly(fields, 3)
    return Ping(_number(sequence, SEQUENCE_MAX), _name(target))


def _read_ack(fields: Received) -> Message:
    return Ack(_number(_exactly(fields, 2)[1], SEQUENCE_MAX))


def _read_indirect(fields: Received) -> Message:
    _, sequence, target, host, port = _exactly(fields, 5)
    return IndirectPing(_number(sequence, SEQUENCE_MAX), _name(target), _address(host, port))


def _read_nack(fields: Received) -> Message:
    return Nack(_number(_exactly(fields, 2)[1], SEQUENCE_MAX))


def _read_alive(fields: Received) -> Message:
    record = _record(_exactly(fields, 9)[1:])
    _require(record.state is MemberState.ALIVE, "an Alive message with another state")
    return Alive(record)


def _read_accusation(fields: Received) -> Message:
    _, state, name, *incarnation, accuser = _exactly(fields, 7)
    _require(_state(state) is not MemberState.ALIVE, "an accusation of being alive")
    return Accusation(_state(state), _name(name), _incarnation(incarnation), _name(accuser))


def _read_exchange(fields: Received) -> Message:
    _, joining, records = _exactly(fields, 3)
    _require(isinstance(joining, bool) and isinstance(records, tuple), "not an exchange")
    return Exchange(joining, tuple(_record(_exactly(record, 8)) for record in records))


READERS: Final[dict[int, Callable[[Received], Message]]] = {
    1: _read_ping,
    2: _read_ack,
    3: _read_indirect,
    4: _read_nack,
    5: _read_alive,
    6: _read_accusation,
    7: _read_exchange,
}
"""How the fields behind each kind are read."""
