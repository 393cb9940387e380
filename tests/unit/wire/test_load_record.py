from dataclasses import astuple, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.wire.load_record import (
    LIMITS,
    MAGIC,
    RECORD,
    LoadRecord,
    decode_load,
    encode_load,
    is_load,
    records_per_datagram,
)
from qvdnode.wire.swim import (
    Incarnation,
    Refusal,
    Sender,
    SwimError,
    encode_header,
    farm_tag,
)

TAG = farm_tag("here")
records = st.builds(LoadRecord, *(st.integers(0, most) for most in LIMITS))
ONE = LoadRecord(*range(1, 21))


def refusal(plain: bytes) -> Refusal:
    with pytest.raises(SwimError) as caught:
        decode_load(plain, TAG)
    return caught.value.refusal


@given(st.lists(records, min_size=1, max_size=29))
def test_what_is_encoded_is_decoded(some: list[LoadRecord]) -> None:
    assert decode_load(encode_load(TAG, some), TAG) == tuple(some)


def test_a_figure_beyond_its_field_is_told_as_the_most_that_fits() -> None:
    (told,) = decode_load(encode_load(TAG, [replace(ONE, start_tokens=300, guests=-1)]), TAG)
    assert (told.start_tokens, told.guests) == (255, 0)


def test_a_full_datagram_fits_into_what_the_membership_sends_at_most() -> None:
    room = records_per_datagram(1371)
    assert room == 29
    assert len(encode_load(TAG, [ONE] * room)) <= 1371 < len(encode_load(TAG, [ONE] * (room + 1)))


def test_a_packet_of_the_membership_is_not_taken_for_load() -> None:
    assert not is_load(encode_header(TAG, Sender("a", Incarnation(1, b"instance", 0))))
    assert is_load(encode_load(TAG, [ONE]))
    assert not is_load(b"")


def test_another_farm_is_refused() -> None:
    assert refusal(encode_load(farm_tag("there"), [ONE])) is Refusal.FOREIGN_FARM


def test_another_format_is_refused() -> None:
    assert refusal(b"L\x02" + encode_load(TAG, [ONE])[2:]) is Refusal.OTHER_VERSION


@pytest.mark.parametrize("plain", [MAGIC + TAG, encode_load(TAG, [ONE])[:-1]])
def test_half_a_record_is_refused(plain: bytes) -> None:
    assert refusal(plain) is Refusal.MALFORMED


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(noise: bytes) -> None:
    for plain in (noise, MAGIC + TAG + noise):
        try:
            decoded = decode_load(plain, TAG)
        except SwimError:
            continue
        assert encode_load(TAG, decoded) == plain


def test_the_fields_have_the_order_of_the_format() -> None:
    assert RECORD.unpack(encode_load(TAG, [ONE])[10:]) == astuple(ONE)
