"""What other nodes of a farm send, and hosts that pretend to be nodes."""

import contextlib
import random
from typing import Final

from fuzz.target import Target
from qvdnode.cluster.core.swim.machine import Identity, Swim
from qvdnode.cluster.core.swim.timing import Timing
from qvdnode.cluster.keyring import Forged, Keyring
from qvdnode.wire.load_record import LoadRecord, decode_load, encode_load
from qvdnode.wire.member_metadata import MemberMetadata
from qvdnode.wire.swim import (
    Accusation,
    Ack,
    Address,
    Alive,
    Exchange,
    Incarnation,
    IndirectPing,
    MemberState,
    Nack,
    Ping,
    Record,
    Sender,
    SwimError,
    decode,
    encode,
    encode_header,
    farm_tag,
)

FARM: Final = "fuzzed"
TAG: Final = farm_tag(FARM)
LIFE: Final = Incarnation(2, b"instance", 1)
SOURCE: Final = Address("10.0.0.2", 8446)
RECORD: Final = Record("b", SOURCE, LIFE, MemberState.ALIVE, b"meta")
HEADER: Final = encode_header(TAG, Sender("b", LIFE))
MESSAGES: Final = (
    Ping(1, "a"),
    Ack(1),
    IndirectPing(2, "b", SOURCE),
    Nack(2),
    Alive(RECORD),
    Accusation(MemberState.SUSPECT, "b", LIFE, "c"),
    Accusation(MemberState.DEAD, "a", Incarnation(9, b"formerly", 0), "b"),
    Exchange(joining=True, records=(RECORD, RECORD._replace(name="c", state=MemberState.DEAD))),
)


def swim_packets(data: bytes) -> None:
    """A decoded packet encodes to the same bytes, and a member handles it without an exception."""
    with contextlib.suppress(SwimError):
        packet = decode(data, TAG)
        again = encode_header(TAG, packet.sender) + b"".join(map(encode, packet.messages))
        if decode(again, TAG) != packet:
            raise AssertionError(packet)
    identity = Identity(FARM, "a", Address("10.0.0.1", 8446), 1, b"myself__")
    swim = Swim(identity, Timing(), random.Random(1))
    swim.start([SOURCE], 0.0)
    for take in (
        lambda: swim.handle_datagram(data, SOURCE, 0.1),
        lambda: swim.handle_stream_request(data, SOURCE, 0.2),
        lambda: swim.handle_stream_answer(1, data, 0.3),
    ):
        with contextlib.suppress(SwimError):
            take()
        swim.members.check()


def swim_datagrams(data: bytes) -> None:
    """No packet that was made without a key of the farm is decrypted."""
    ring = Keyring(FARM, [b"k" * 32, b"o" * 16])
    with contextlib.suppress(Forged):
        raise AssertionError(ring.open(data))


def loads(data: bytes) -> None:
    """A datagram of load is refused or is what its records are written as."""
    with contextlib.suppress(SwimError):
        if encode_load(TAG, decode_load(data, TAG)) != data:
            raise AssertionError(data)


def member_metadata(data: bytes) -> None:
    """Metadata says nothing, or what it is written as says the same."""
    metadata = MemberMetadata.decode(data)
    if metadata is not None and MemberMetadata.decode(metadata.encode()) != metadata:
        raise AssertionError(metadata)


TARGETS: Final[dict[str, Target]] = {
    "swim_packets": Target(
        swim_packets,
        (HEADER, *(HEADER + encode(message) for message in MESSAGES)),
        weight=3,
    ),
    "loads": Target(loads, (encode_load(TAG, [LoadRecord(*range(1, 21))]),)),
    "member_metadata": Target(member_metadata, (MemberMetadata(7, "1.0").encode(),)),
    "swim_datagrams": Target(
        swim_datagrams, (Keyring("another", [b"k" * 32]).seal(HEADER, bytes(12)),)
    ),
}
