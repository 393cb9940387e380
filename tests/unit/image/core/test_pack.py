"""The stream of packed objects."""

import pytest

from qvdnode.image.core.pack import CHUNK_MAX, END, MAGIC, Chunk, Head, PackReader, Part, Tail
from qvdnode.image.core.pack import chunks as chunks_of
from qvdnode.image.core.pack import head as head_of
from qvdnode.model.errors import BadImage

ONE, TWO, BASE = "11" * 32, "22" * 32, "33" * 32
PACK = b"".join(
    (
        MAGIC,
        head_of(ONE), *chunks_of([b"abc", b"", b"de"]),
        head_of(TWO, BASE), *chunks_of([]),
        END,
    )
)  # fmt: skip


def read(data: bytes, step: int) -> tuple[list[Part], bool]:
    reader = PackReader()
    parts = [part for at in range(0, len(data), step) for part in reader.feed(data[at : at + step])]
    return parts, reader.done


@pytest.mark.parametrize("step", [1, 2, 3, 5, 40, 1_000])
def test_a_pack_is_read_however_it_is_cut(step: int) -> None:
    assert read(PACK, step) == (
        [Head(ONE), Chunk(b"abc"), Chunk(b"de"), Tail(), Head(TWO, BASE), Tail()],
        True,
    )
    assert read(PACK[:-1], step)[1] is False


def test_large_pieces_become_chunks_of_bounded_size() -> None:
    sizes = [len(part) for part in chunks_of([bytes(CHUNK_MAX + 5)])]
    assert sizes == [CHUNK_MAX + 4, 9, 4]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"qvd-pack 2\n", "does not begin"),
        (MAGIC + b"\x03", "unknown mark"),
        (MAGIC + head_of(ONE) + b"\xff\xff\xff\xff", "too large"),
        (PACK + b"x", "follows the end"),
    ],
)
def test_what_is_no_pack_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(BadImage, match=why):
        read(data, 1_000)
