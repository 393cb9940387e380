"""PNG files of true colour pictures, pure."""

import struct
import zlib
from typing import Final

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
RGB: Final = 2


def encode_rgb(width: int, height: int, rgb: bytes) -> bytes:
    """A PNG file of rows of red, green and blue bytes, top row first."""
    stride = width * 3
    if len(rgb) != stride * height:
        raise ValueError(f"{width}x{height} pixels need {stride * height} bytes, not {len(rgb)}")
    rows = b"".join(b"\0" + rgb[at : at + stride] for at in range(0, len(rgb), stride or 1))
    header = struct.pack(">IIBBBBB", width, height, 8, RGB, 0, 0, 0)
    return (
        SIGNATURE
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(rows, 6))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
