"""How nodes tell each other their load: fixed-size records, as many as fit into one datagram. Pure.

Load changes all the time, so it does not travel with the membership's messages, whose room it would
fill. A datagram is a header and records behind one another; msgpack would need twice the bytes.
A figure too large for its field is sent as the largest that fits.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from qvdnode.wire.swim import Refusal, SwimError

MAGIC: Final = b"L\x01"
"""The first byte tells a datagram of load from one of the membership, which begins with a msgpack
array; the second is the version of the format."""
TAG_BYTES: Final = 8
RECORD: Final = struct.Struct(">IIIHIIHHBBBBBHBBBBBQ")
"""In the order of LoadRecord's fields, big endian."""
FILTER_BITS: Final = 64
AGE_TENTHS_MAX: Final = 0xFFFF


@dataclass(frozen=True, slots=True)
class LoadRecord:
    """What one node reported of its load; every field is a whole number of the unit in its name."""

    node: int
    epoch: int
    """The start epoch of the node's process."""
    counter: int
    """Grows with each record of that process."""
    age_tenths: int
    """How long ago the figures were read, in tenths of a second, by all the nodes on the way."""
    capacity_mib: int
    """Memory that may be promised to desktops."""
    promised_mib: int
    guests: int
    guests_max: int
    starts_waiting: int
    starts_waiting_max: int
    start_tokens: int
    start_tokens_free: int
    cores: int
    run_queue_tenths: int
    cpu_some_pct: int
    memory_full_pct: int
    io_some_pct: int
    loop_lag_hundredths: int
    """How late the node's event loop is, in hundredths of a second."""
    flags: int
    """Bit 0: the node is being drained; bit 7: it does not reach the database; those between stand
    for drivers (DRIVER_BITS)."""
    images: int
    """Bit n is set when the node has an image whose id leaves n at a division by 64: a hint."""

    @property
    def version(self) -> tuple[int, int]:
        """Orders what one node told."""
        return self.epoch, self.counter


DRAINING: Final = 1
NO_DATABASE: Final = 128
DRIVER_BITS: Final = {"lxc": 2, "kvm": 4, "docker": 8}
LIMITS: Final = tuple(
    {"B": 0xFF, "H": 0xFFFF, "I": 0xFFFFFFFF, "Q": 0xFFFFFFFFFFFFFFFF}[kind]
    for kind in RECORD.format[1:]
)


def records_per_datagram(room_bytes: int) -> int:
    """How many records fit into a datagram with that much room."""
    return (room_bytes - len(MAGIC) - TAG_BYTES) // RECORD.size


def is_load(plain: bytes) -> bool:
    """Whether a decrypted datagram is one of load, of any version."""
    return plain[:1] == MAGIC[:1]


def encode_load(tag: bytes, records: Iterable[LoadRecord]) -> bytes:
    """One datagram for the farm of that tag (wire.swim.farm_tag)."""
    return MAGIC + tag + b"".join(map(_packed, records))


def decode_load(plain: bytes, tag: bytes) -> tuple[LoadRecord, ...]:
    """The records of a datagram, for the farm of that tag; raises SwimError."""
    head = len(MAGIC) + TAG_BYTES
    if plain[: len(MAGIC)] != MAGIC:
        raise SwimError(Refusal.OTHER_VERSION, "load in another format")
    if plain[len(MAGIC) : head] != tag:
        raise SwimError(Refusal.FOREIGN_FARM, "written for another farm")
    if len(plain) == head or (len(plain) - head) % RECORD.size:
        raise SwimError(Refusal.MALFORMED, "not a whole number of records")
    return tuple(LoadRecord(*fields) for fields in RECORD.iter_unpack(plain[head:]))


def _packed(record: LoadRecord) -> bytes:
    values = (getattr(record, name) for name in LoadRecord.__dataclass_fields__)
    return RECORD.pack(*(min(max(v, 0), most) for v, most in zip(values, LIMITS, strict=True)))
