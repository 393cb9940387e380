import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.wire.member_metadata import MemberMetadata


def test_what_is_encoded_is_decoded() -> None:
    metadata = MemberMetadata(7, "1.2.0")
    assert MemberMetadata.decode(metadata.encode()) == metadata


def test_fields_of_a_newer_program_are_skipped() -> None:
    assert MemberMetadata.decode(msgpack.packb([7, "2.0", True])) == MemberMetadata(7, "2.0")


@pytest.mark.parametrize(
    "announced",
    [
        b"",
        b"\xc1",
        msgpack.packb(7),
        msgpack.packb([7]),
        msgpack.packb(["7", "1.0"]),
        msgpack.packb([0, "1.0"]),
        msgpack.packb([True, "1.0"]),
        msgpack.packb([7, b"1.0"]),
        msgpack.packb([7, "1.0\n"]),
        msgpack.packb([7, "x" * 65]),
        bytes(513),
    ],
)
def test_what_makes_no_sense_says_nothing(announced: bytes) -> None:
    assert MemberMetadata.decode(announced) is None


def test_a_long_version_is_refused_by_who_announces_it() -> None:
    with pytest.raises(ValueError, match="64"):
        MemberMetadata(1, "x" * 65).encode()


@given(st.binary(max_size=600))
def test_any_bytes_are_decoded_or_say_nothing(noise: bytes) -> None:
    decoded = MemberMetadata.decode(noise)
    assert decoded is None or MemberMetadata.decode(decoded.encode()) == decoded
