"""The stream of objects between nodes."""

import pytest

from qvdnode.image.core.bundle import (
    HERE,
    MISSING,
    BundleReader,
    Missing,
    Sized,
    bits_of,
    chosen,
    in_order,
)
from qvdnode.model.errors import BadImage

OBJECTS: list[Sized] = in_order((f"{n:064x}", n + 1) for n in range(11))


def read(reader: BundleReader, *parts: bytes) -> dict[str, bytes | None]:
    """What the parts give, by digest; None for what is missing."""
    found: dict[str, bytes | None] = {}
    for part in parts:
        for piece in reader.feed(part):
            if isinstance(piece, Missing):
                found[piece.digest] = None
                continue
            found[piece.digest] = (found.get(piece.digest) or b"") + bytes(piece.content)
    return found


def test_the_wanted_objects_are_known_at_both_ends_by_their_bits() -> None:
    wanted = {OBJECTS[0][0], OBJECTS[9][0]}
    assert chosen(OBJECTS, bits_of(OBJECTS, wanted)) == [OBJECTS[0], OBJECTS[9]]
    assert chosen([], b"") == []
    with pytest.raises(BadImage, match="another manifest"):
        chosen(OBJECTS, b"\0")


@pytest.mark.parametrize("step", [1, 2, 3, 1000])
def test_a_stream_is_read_however_it_is_cut(step: int) -> None:
    wanted = OBJECTS[:4]
    stream = b"".join(
        MISSING if number == 2 else HERE + bytes([number]) * size
        for number, (_, size) in enumerate(wanted)
    )
    reader = BundleReader(wanted)
    found = read(reader, *(stream[at : at + step] for at in range(0, len(stream), step)))
    assert reader.done
    assert found == {
        digest: None if number == 2 else bytes([number]) * size
        for number, (digest, size) in enumerate(wanted)
    }


def test_what_is_no_stream_of_these_is_refused() -> None:
    with pytest.raises(BadImage, match="unknown mark"):
        read(BundleReader(OBJECTS[:1]), b"\x07")
    with pytest.raises(BadImage, match="more is sent"):
        read(BundleReader([]), b"\x01")
    assert BundleReader([]).done
