"""PNG files that any reader takes."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.wire.png import SIGNATURE, encode_rgb


def chunks(png: bytes) -> dict[bytes, bytes]:
    found, at = {}, len(SIGNATURE)
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        (check,) = struct.unpack_from(">I", png, at + 8 + length)
        assert check == zlib.crc32(kind + data)
        found[kind] = data
        at += 12 + length
    return found


@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_pixels_come_back(width: int, height: int, data: st.DataObject) -> None:
    size = width * height * 3
    rgb = data.draw(st.binary(min_size=size, max_size=size))
    png = encode_rgb(width, height, rgb)
    assert png.startswith(SIGNATURE)
    parts = chunks(png)
    assert parts[b"IHDR"] == struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.decompress(parts[b"IDAT"])
    stride = width * 3 + 1
    lines = [rows[at : at + stride] for at in range(0, len(rows), stride)]
    assert all(line[0] == 0 for line in lines)
    assert b"".join(line[1:] for line in lines) == rgb
    assert list(parts)[-1] == b"IEND"


def test_a_wrong_size_is_refused() -> None:
    with pytest.raises(ValueError, match="2x2 pixels"):
        encode_rgb(2, 2, b"")
