"""X11 packets: cut anywhere, and broken ones are refused."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.wire import x11
from qvdnode.wire.x11 import BadX11, Packet


def setup_reply(width: int = 1280, height: int = 800, vendor: bytes = b"Maker") -> bytes:
    vendor_part = x11.padded(vendor)
    formats = 2 * bytes(8)
    screen = struct.pack("<IIIIIHH", 0x50D, 1, 0, 0, 0, width, height) + bytes(16)
    head = struct.pack("<IIIIHHBBBBBBBB", 0, 0, 0, 0, len(vendor), 65535, 1, 2, 0, 0, 32, 32, 8, 9)
    body = head + bytes(4) + vendor_part + formats + screen
    return struct.pack("<BxHHH", 1, 11, 0, len(body) // 4) + body


def test_a_setup_tells_the_screen() -> None:
    reply = setup_reply()
    assert x11.setup_reply_length(reply[:8]) == len(reply) - 8
    screen = x11.parse_setup(reply)
    assert (screen.root, screen.width, screen.height) == (0x50D, 1280, 800)


def test_a_refused_setup_says_why() -> None:
    reply = struct.pack("<BBHHH", 0, 8, 11, 0, 2) + b"No entry"
    with pytest.raises(BadX11, match="No entry"):
        x11.parse_setup(reply)


@given(st.binary(max_size=200))
def test_no_setup_breaks_the_parser(data: bytes) -> None:
    with contextlib.suppress(BadX11):
        x11.parse_setup(b"\1" + data)


@pytest.mark.parametrize("length", range(8, len(setup_reply()) - 17))
def test_a_cut_setup_is_refused(length: int) -> None:
    with pytest.raises(BadX11):
        x11.parse_setup(setup_reply()[:length])


def test_a_setup_without_screens_is_refused() -> None:
    reply = bytearray(setup_reply())
    reply[28] = 0
    with pytest.raises(BadX11, match="no screen"):
        x11.parse_setup(bytes(reply))


def test_a_setup_request_carries_the_cookie() -> None:
    assert x11.setup_request(None) == b"l\0\x0b\0\0\0\0\0\0\0\0\0"
    request = x11.setup_request(b"0123456789abcdef")
    assert request[6:10] == struct.pack("<HH", 18, 16)
    assert request[12:30] == x11.COOKIE_NAME
    assert request[32:48] == b"0123456789abcdef"


def entry(family: int, address: bytes, number: bytes, name: bytes, secret: bytes) -> bytes:
    fields = (address, number, name, secret)
    return struct.pack(">H", family) + b"".join(struct.pack(">H", len(f)) + f for f in fields)


def test_a_cookie_is_found_for_its_display_and_host() -> None:
    file = (
        entry(256, b"elsewhere", b"0", x11.COOKIE_NAME, b"wrong host")
        + entry(256, b"here", b"1", x11.COOKIE_NAME, b"wrong display")
        + entry(256, b"here", b"0", b"OTHER-1", b"wrong kind")
        + entry(256, b"here", b"0", x11.COOKIE_NAME, b"right")
    )
    assert x11.find_cookie(file, 0, "here") == b"right"
    assert x11.find_cookie(file, 5, "here") is None
    assert x11.find_cookie(file[:-30], 0, "here") is None
    wild = entry(65_535, b"", b"", x11.COOKIE_NAME, b"any")
    assert x11.find_cookie(wild, 9, "there") == b"any"


@given(st.binary(max_size=100))
def test_no_authority_file_breaks_the_search(data: bytes) -> None:
    x11.find_cookie(data, 0, "here")


EVENT = struct.pack("<BBHII", 19, 0, 7, 0x50D, 0x42) + bytes(20)
REPLY = struct.pack("<BBHI", 1, 0, 8, 1) + bytes(24) + b"tail"
ERROR = struct.pack("<BBHI", 0, 3, 9, 0) + bytes(24)


@pytest.mark.parametrize("cut", range(len(EVENT + REPLY + ERROR)))
def test_packets_may_be_split_anywhere(cut: int) -> None:
    stream, waiting, found = EVENT + REPLY + ERROR, bytearray(), list[Packet]()
    for piece in (stream[:cut], stream[cut:]):
        waiting += piece
        while (packet := x11.cut_packet(waiting)) is not None:
            found.append(packet)
    assert [(p.kind, p.sequence, len(p.data)) for p in found] == [
        (19, 7, 32),
        (1, 8, 36),
        (0, 9, 32),
    ]
    assert x11.window_of(found[0]) == 0x42
    assert x11.window_of(found[1]) is None
    assert not waiting


def test_an_impossible_length_is_refused() -> None:
    with pytest.raises(BadX11, match="impossible"):
        x11.cut_packet(bytearray(struct.pack("<BBHI", 1, 0, 1, 0xFFFF_FFFF) + bytes(24)))


def test_requests_have_the_length_they_claim() -> None:
    requests = [
        x11.watch_children(1),
        x11.attributes(1),
        x11.geometry(1),
        x11.children(1),
        x11.text_property(1, 67),
        x11.atom("_XKB_RULES_NAMES"),
        x11.atom("ABC"),
        x11.image(1, 10, 10),
        x11.let_in_local_user(0),
        x11.let_in_local_user(100_000),
    ]
    for request in requests:
        (words,) = struct.unpack_from("<H", request, 2)
        assert len(request) == words * 4


def reply(detail: int, body: bytes, tail: bytes = b"") -> bytes:
    return struct.pack("<BBHI", 1, detail, 1, len(tail) // 4) + body.ljust(24, b"\0") + tail


def test_replies_are_read() -> None:
    assert x11.parse_size(reply(24, bytes(8) + struct.pack("<HH", 640, 480))) == (640, 480)
    tree = reply(0, bytes(8) + struct.pack("<H", 2), struct.pack("<II", 5, 6))
    assert x11.parse_children(tree) == (5, 6)
    assert x11.parse_atom(reply(0, struct.pack("<I", 99))) == 99
    prop = reply(8, bytes(8) + struct.pack("<I", 3), b"abc\0")
    assert x11.parse_property(prop) == b"abc"
    assert x11.parse_property(reply(0, b"")) == b""
    assert x11.is_viewable(reply(0, bytes(18) + b"\2"))
    assert not x11.is_viewable(reply(0, bytes(18) + b"\0"))


def test_a_short_tree_is_refused() -> None:
    with pytest.raises(BadX11):
        x11.parse_children(reply(0, bytes(8) + struct.pack("<H", 3), struct.pack("<I", 5)))


def test_pixels_are_turned_to_rgb() -> None:
    pixels = bytes([3, 2, 1, 0, 6, 5, 4, 0])
    assert x11.rgb_of_image(reply(24, b"", pixels), 2) == bytes([1, 2, 3, 4, 5, 6])
    with pytest.raises(BadX11, match="true colour"):
        x11.rgb_of_image(reply(8, b"", pixels), 2)
    with pytest.raises(BadX11):
        x11.rgb_of_image(reply(24, b"", pixels), 3)


def test_a_cookie_that_is_written_is_found_for_every_display() -> None:
    written = x11.xauthority(b"0123456789abcdef")
    assert x11.find_cookie(written, 1234, "any-host") == b"0123456789abcdef"
