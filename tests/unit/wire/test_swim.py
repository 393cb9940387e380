import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.wire import swim
from qvdnode.wire.swim import (
    Accusation,
    Ack,
    Address,
    Alive,
    Exchange,
    Incarnation,
    IndirectPing,
    MemberState,
    Message,
    Nack,
    Ping,
    Record,
    Refusal,
    Sender,
    SwimError,
    decode,
    encode,
    encode_header,
    farm_tag,
)

TAG = farm_tag("here")
LIFE = Incarnation(3, b"instance", 7)
SENDER = Sender("a", LIFE)
HEADER = encode_header(TAG, SENDER)
RECORD = Record("b", Address("10.0.0.2", 8446), LIFE, MemberState.ALIVE, b"meta")
MESSAGES: tuple[Message, ...] = (
    Ping(1, "b"),
    Ack(2),
    IndirectPing(3, "b", Address("fd00::1", 1)),
    Nack(4),
    Alive(RECORD),
    Accusation(MemberState.DEAD, "b", LIFE, "c"),
    Exchange(joining=True, records=(RECORD, RECORD._replace(state=MemberState.LEFT))),
)


def refusal(data: bytes) -> Refusal:
    with pytest.raises(SwimError) as caught:
        decode(data, TAG)
    return caught.value.refusal


def test_what_is_encoded_is_decoded() -> None:
    packet = decode(HEADER + b"".join(map(encode, MESSAGES)), TAG)
    assert packet.sender == SENDER
    assert packet.messages == MESSAGES
    assert isinstance(packet.messages[5], Accusation)
    assert packet.messages[5].state is MemberState.DEAD


def test_a_header_alone_is_a_packet() -> None:
    assert decode(HEADER, TAG).messages == ()


def test_a_newer_program_may_add_kinds_and_fields() -> None:
    newer = msgpack.packb([9, 1, TAG, "a", *LIFE, "a new field"])
    messages = [[200, "a new kind"], [2, 5, "a new field"]]
    data = newer + b"".join(map(msgpack.packb, messages))
    assert decode(data, TAG).messages == (Ack(5),)


def test_a_program_that_is_too_new_is_recognised() -> None:
    assert refusal(msgpack.packb([9, 2, TAG, "a", *LIFE])) is Refusal.OTHER_VERSION
    assert refusal(msgpack.packb([9, "2", TAG, "a", *LIFE])) is Refusal.OTHER_VERSION


def test_another_farm_is_recognised() -> None:
    assert refusal(encode_header(farm_tag("there"), SENDER)) is Refusal.FOREIGN_FARM
    assert farm_tag("here") == TAG
    assert len(TAG) == 8


def header(*fields: object) -> bytes:
    packed: bytes = msgpack.packb([1, 1, TAG, *fields])
    return packed


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x91" * 5000,  # too deep
        b"\xdd\xff\xff\xff\xff",  # more than there is
        b"\x81\x01\x01",  # a map
        HEADER[:-1],
        HEADER + b"\x92\x01",
        b"\x01",
        msgpack.packb([1, 1]),
        header("a"),
        header("", *LIFE),
        header("x" * 65, *LIFE),
        header("a\n", *LIFE),
        header(b"a", *LIFE),
        header("a", -1, LIFE.instance, 0),
        header("a", swim.EPOCH_MAX + 1, LIFE.instance, 0),
        header("a", 1, b"short", 0),
        header("a", 1, "instance", 0),
        header("a", 1, LIFE.instance, 2**33),
        header("a", 1, LIFE.instance, True),
    ],
)
def test_a_bad_header_is_malformed(data: bytes) -> None:
    assert refusal(data) is Refusal.MALFORMED


@pytest.mark.parametrize(
    "fields",
    [
        [],
        3,
        ["kind"],
        [999],
        [1, 1],
        [1, 2**32, "b"],
        [2, "1"],
        [3, 1, "b", "host.example", 1],
        [3, 1, "b", "10.0.0.256", 1],
        [3, 1, "b", "010.0.0.1", 1],
        [3, 1, "b", "::0", 1],
        [3, 1, "b", "fe80::1%eth0", 1],
        [3, 1, "b", ":::", 1],
        [3, 1, "b", 5, 1],
        [3, 1, "b", {}, 1],
        [7, True, [["b", "10.0.0.1", 1, *LIFE, 0, {}]]],
        [3, 1, "b", "10.0.0.1", 65536],
        [5, "b", "10.0.0.1", 1, *LIFE, 1, b""],
        [5, "b", "10.0.0.1", 1, *LIFE, 0, b"x" * 513],
        [5, "b", "10.0.0.1", 1, *LIFE, 0, "text"],
        [6, 0, "b", *LIFE, "c"],
        [6, 4, "b", *LIFE, "c"],
        [7, 1, []],
        [7, True, 5],
        [7, True, [5]],
    ],
)
def test_a_bad_message_is_malformed(fields: object) -> None:
    assert refusal(HEADER + msgpack.packb(fields)) is Refusal.MALFORMED


def test_an_exchange_has_a_bound() -> None:
    records = (RECORD,) * (swim.RECORDS_MAX + 1)
    assert refusal(HEADER + encode(Exchange(joining=False, records=records))) is Refusal.MALFORMED


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    for whole in (data, HEADER + data):
        try:
            packet = decode(whole, TAG)
        except SwimError:
            continue
        again = encode_header(TAG, packet.sender) + b"".join(map(encode, packet.messages))
        assert decode(again, TAG) == packet
