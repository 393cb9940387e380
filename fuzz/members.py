"""What other nodes of a farm send, and hosts that pretend to be nodes."""

import contextlib
import random
from datetime import UTC, datetime
from typing import Final

from fuzz.target import Target
from qvdnode.cluster.core.swim.machine import Identity, Swim
from qvdnode.cluster.core.swim.timing import Timing
from qvdnode.cluster.keyring import Forged, Keyring
from qvdnode.model.ids import FarmId
from qvdnode.tls.farm_authority import BadCertificate, FarmAuthority, authority_pin, read_node
from qvdnode.wire.load_record import LoadRecord, decode_load, encode_load
from qvdnode.wire.member_metadata import MemberMetadata
from qvdnode.wire.peer_hello import (
    HEADER_BYTES,
    Hello,
    HelloAnswer,
    HelloError,
    JoinAnswer,
    JoinRequest,
    body_bytes,
    frame,
    parse,
)
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


HELLOS: Final = (
    Hello(1, 1, FARM, "calls", "1.0", 1_700_000_000_000),
    HelloAnswer(0, "no", "1.0", 1_700_000_000_000),
    JoinRequest("token", "b", "10.0.0.2", 8445, b"key", 8),
    JoinAnswer("", farm=FARM, node=2, farm_key=b"k" * 32),
)


def peer_hellos(data: bytes) -> None:
    """What can be read is what would be written, whichever message it is taken for."""
    for kind in (Hello, HelloAnswer, JoinRequest, JoinAnswer):
        with contextlib.suppress(HelloError):
            message = parse(kind, data[HEADER_BYTES:])
            if parse(kind, frame(message)[HEADER_BYTES:]) != message:
                raise AssertionError(message)
    with contextlib.suppress(HelloError):
        body_bytes(data[:HEADER_BYTES].ljust(HEADER_BYTES, b"\0"))


def node_certificates(data: bytes) -> None:
    """Bytes that are no node's certificate name nobody."""
    for read in (read_node, authority_pin, FarmAuthority.check_key):
        with contextlib.suppress(BadCertificate):
            read(data)


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


CERTIFICATE: Final = FarmAuthority.new(
    FarmId("0c9a1e0e-5a3b-4c5e-9f0a-2b7d1c3e4f50"), datetime(2026, 1, 1, tzinfo=UTC)
).certificate_pem


TARGETS: Final[dict[str, Target]] = {
    "swim_packets": Target(
        swim_packets,
        (HEADER, *(HEADER + encode(message) for message in MESSAGES)),
        weight=3,
    ),
    "peer_hellos": Target(peer_hellos, tuple(frame(hello) for hello in HELLOS), weight=2),
    "node_certificates": Target(node_certificates, (CERTIFICATE,)),
    "loads": Target(loads, (encode_load(TAG, [LoadRecord(*range(1, 21))]),)),
    "member_metadata": Target(member_metadata, (MemberMetadata(7, "1.0").encode(),)),
    "swim_datagrams": Target(
        swim_datagrams, (Keyring("another", [b"k" * 32]).seal(HEADER, bytes(12)),)
    ),
}
