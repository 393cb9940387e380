"""Packing with zstd, with and without a base."""

import random

import pytest

from qvdnode.host import zstd
from qvdnode.host.zstd import Packer, Unpacker, unpacked
from qvdnode.model.errors import BadImage

NOISE = random.Random(1).randbytes(300_000)


def in_steps(unpacker: Unpacker, data: bytes, step: int) -> bytes:
    parts = (data[at : at + step] for at in range(0, len(data), step))
    return b"".join(piece for part in parts for piece in unpacker.feed(part))


@pytest.mark.parametrize("content", [b"", b"a", b"word " * 300_000, NOISE])
@pytest.mark.parametrize("step", [7, 4_096, 10_000_000])
def test_content_comes_back(content: bytes, step: int) -> None:
    packed = Packer(3).packed(content)
    unpacker = Unpacker(len(content))
    assert in_steps(unpacker, packed, step) == content
    assert unpacker.done


def test_a_patch_is_small_and_needs_its_base() -> None:
    content = NOISE[:150_000] + b"changed" + NOISE[150_000:]
    packer = Packer(12)
    patch = packer.packed(content, NOISE)
    assert len(patch) < 300
    assert unpacked(patch, len(content), NOISE) == content
    assert len(packer.packed(content)) > 290_000
    with pytest.raises(BadImage):
        unpacked(patch, len(content))


def test_content_that_comes_in_pieces_is_one_frame() -> None:
    chunks = [NOISE[:100], b"", NOISE[100:], b"x" * 5_000_000]
    whole = b"".join(chunks)
    packed = b"".join(Packer(3).pieces(len(whole), iter(chunks)))
    assert unpacked(packed, len(whole)) == whole


def test_what_is_too_long_cut_off_or_no_frame_is_refused() -> None:
    packed = Packer(3).packed(b"x" * 1_000_000)
    with pytest.raises(BadImage, match="longer than"):
        unpacked(packed, 999_999)
    with pytest.raises(BadImage, match="cut off"):
        unpacked(packed[:-1], 1_000_000)
    with pytest.raises(BadImage, match="something follows"):
        unpacked(packed + b"x", 1_000_000)
    with pytest.raises(BadImage, match="not valid"):
        unpacked(b"no frame at all", 100)


def test_a_frame_cannot_ask_for_more_memory_than_its_content_needs() -> None:
    # A frame without its content's size and with a window of 1 GiB (see the format of zstd).
    frame = bytes.fromhex("28b52ffd") + bytes([0x00, 20 << 3]) + b"\x01\x00\x00"
    with pytest.raises(BadImage, match="memory"):
        unpacked(frame, 100)
    assert zstd.window_log(1 << 20, 1 << 20) == 22
