"""What the page of a desktop sends to a node, and what the display in its sandbox does."""

import contextlib
from typing import Final

from fuzz.target import Target, pieces
from qvdnode.desk.core.assistance import input_message, parse_input
from qvdnode.desk.core.messages import Open, Refused, Typed, parse, typable
from qvdnode.desk.core.x11_fit import Fit
from qvdnode.model.errors import Invalid
from qvdnode.model.home_path import parts_of
from qvdnode.web.core.byte_range import attachment, wanted_range
from qvdnode.wire.x11 import BadX11


def control_messages(data: bytes) -> None:
    """A message is understood or refused, and what is to be typed can be typed."""
    with contextlib.suppress(Invalid):
        match parse(data.decode(errors="surrogateescape" if data[:1] == b"x" else "replace")):
            case Typed(text):
                if typable(text) != text:
                    raise AssertionError("text that cannot be typed was let through")
                text.encode()
            case Refused(key):
                if not key:
                    raise AssertionError("a refusal of nothing")
            case Open(ticket=ticket):
                if not ticket:
                    raise AssertionError("an opening without a ticket")


def display(data: bytes) -> None:
    """A display is answered alike, whole and byte by byte; the windows it has are limited."""
    whole, single = _answers([data]), _answers(pieces(data))
    if whole != single:
        raise AssertionError(f"{whole!r} is not {single!r}")


def file_names(data: bytes) -> None:
    """A path stays below the home, and neither a name nor a range leaves its header."""
    text = data.decode(errors="surrogateescape")
    begin, end = wanted_range(text, 1000)
    if not 0 <= begin < end <= 1000:
        raise AssertionError(f"{begin}-{end} is no part of the file")
    with contextlib.suppress(Invalid):
        parts = parts_of(text)
        if any(part in {"", ".", ".."} or "/" in part or "\0" in part for part in parts):
            raise AssertionError(f"{parts} lead elsewhere")
        header = attachment(parts[-1] if parts else "x")
        if not header.isascii() or not header.isprintable() or header.count('"') != 2:
            raise AssertionError(f"{header} is more than one header")


def helper_input(data: bytes) -> None:
    """What a helper sends is understood, and is the same once made anew, or refused."""
    with contextlib.suppress(Invalid):
        given = parse_input(data.decode(errors="replace"))
        if parse_input(input_message(given)) != given:
            raise AssertionError(f"{given} changed on its way")


def _answers(arriving: list[bytes]) -> tuple[bytes, bool]:
    fit, out = Fit(), b""
    try:
        for piece in arriving:
            out += fit.receive(piece)
    except BadX11:
        return b"", False
    return out, True


SETUP: Final = (
    bytes((1, 0, 11, 0, 0, 0, 18, 0)) + bytes(20) + bytes((1, 0)) + bytes(10) + b"\x00\x01\x00\x00"
    + bytes(16) + b"\x20\x03\x58\x02" + bytes(16)
)  # fmt: skip
TARGETS: Final[dict[str, Target]] = {
    "page_messages": Target(
        control_messages,
        seeds=(
            b'{"type":"open","ticket":"t","width":800,"height":600,"keyboard":"es"}',
            b'{"type":"text","text":"\xc3\xb1 \xe2\x82\xac"}',
        ),
    ),
    "helper_input": Target(
        helper_input,
        seeds=(
            b'{"type":"pointer","x":1,"y":2,"buttons":3}',
            b'{"type":"key","code":"KeyA","down":true}',
        ),
    ),
    "file_names": Target(
        file_names, seeds=(b"a/b.txt", b"../etc", b"bytes=0-9", b"bytes=-5", b'\xc3\xb1 ".txt')
    ),
    "sandbox_display": Target(
        display, seeds=(SETUP + bytes((19,)) + bytes(31), SETUP + bytes((22,)) + bytes(31))
    ),
}
