"""The X11 protocol as far as a watcher of windows needs it, pure and little-endian.

Requests are written, server packets cut and read; client/x11_watch.py moves the bytes. All numbers
are those of the X11 protocol, encoding appendix.
"""

import struct
from dataclasses import dataclass
from typing import Final

from qvdnode.model.errors import Invalid

COOKIE_NAME: Final = b"MIT-MAGIC-COOKIE-1"
PACKET: Final = 32
REPLY_BYTES_MAX: Final = 256 * 1024 * 1024

ERROR: Final = 0
REPLY: Final = 1
DESTROY_NOTIFY: Final = 17
UNMAP_NOTIFY: Final = 18
MAP_NOTIFY: Final = 19
GENERIC_EVENT: Final = 35
SUBSTRUCTURE_NOTIFY: Final = 1 << 19
EVENT_MASK: Final = 1 << 11
MAP_VIEWABLE: Final = 2
WM_CLASS: Final = 67
Z_PIXMAP: Final = 2
SERVER_INTERPRETED: Final = 5
"""Family of addresses that the server itself knows how to check."""


class BadX11(Invalid):
    """The X server sent what is not X11."""


@dataclass(frozen=True, slots=True)
class Screen:
    """The first screen of a display."""

    root: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet of the server: an error, a reply or an event."""

    kind: int
    sequence: int
    data: bytes


def padded(data: bytes) -> bytes:
    """Filled up to a multiple of four, as X11 wants it."""
    return data + bytes(-len(data) % 4)


def setup_request(cookie: bytes | None) -> bytes:
    """The first bytes of a connection."""
    name = b"" if cookie is None else COOKIE_NAME
    secret = cookie or b""
    head = struct.pack("<BxHHHHxx", ord("l"), 11, 0, len(name), len(secret))
    return head + padded(name) + padded(secret)


def setup_reply_length(head: bytes) -> int:
    """How many bytes follow the first eight of a setup reply."""
    (words,) = struct.unpack_from("<H", head, 6)
    return int(words) * 4


def parse_setup(reply: bytes) -> Screen:
    """Return the screen in a whole setup reply; raises BadX11 with the server's reason."""
    try:
        if reply[0] != 1:
            reason = reply[8 : 8 + reply[1]].decode("latin-1").strip()
            raise BadX11(f"The X server refuses us: {reason or 'no reason given'}.")
        vendor_bytes, _max, screens, formats = struct.unpack_from("<HHBB", reply, 24)
        if screens == 0:
            raise BadX11("The X server has no screen.")
        at = 40 + len(padded(bytes(vendor_bytes))) + 8 * formats
        (root,) = struct.unpack_from("<I", reply, at)
        width, height = struct.unpack_from("<HH", reply, at + 20)
        return Screen(root, width, height)
    except (struct.error, IndexError) as error:
        raise BadX11("The X server's greeting is cut short.") from error


def find_cookie(xauthority: bytes, display: int, host: str) -> bytes | None:
    """The cookie for a local display in the contents of an .Xauthority file, or None."""
    at = 0
    wildcard = 65_535
    try:
        while at < len(xauthority):
            (family,) = struct.unpack_from(">H", xauthority, at)
            fields, at = _counted(xauthority, at + 2, 4)
            address, number, name, secret = fields
            ours = family == wildcard or address == host.encode()
            if ours and number in {b"", str(display).encode()} and name == COOKIE_NAME:
                return secret
    except struct.error:
        return None
    return None


def xauthority(secret: bytes) -> bytes:
    """The contents of an .Xauthority file with this cookie, for every display."""
    fields = (b"", b"", COOKIE_NAME, secret)
    counted = b"".join(struct.pack(">H", len(field)) + field for field in fields)
    return struct.pack(">H", 65_535) + counted


def _counted(data: bytes, at: int, count: int) -> tuple[list[bytes], int]:
    fields = []
    for _ in range(count):
        (length,) = struct.unpack_from(">H", data, at)
        fields.append(data[at + 2 : at + 2 + length])
        at += 2 + length
    return fields, at


def cut_packet(waiting: bytearray) -> Packet | None:
    """Take one whole packet off the front, or None when it is not all there yet."""
    if len(waiting) < PACKET:
        return None
    kind = waiting[0] & 0x7F
    sequence, words = struct.unpack_from("<HI", waiting, 2)
    length = PACKET + (words * 4 if kind in {REPLY, GENERIC_EVENT} else 0)
    if length > REPLY_BYTES_MAX:
        raise BadX11("The X server sent an impossible length.")
    if len(waiting) < length:
        return None
    data = bytes(waiting[:length])
    del waiting[:length]
    return Packet(kind, sequence, data)


def watch_children(window: int) -> bytes:
    """ChangeWindowAttributes: tell when children of the window come and go; has no reply."""
    return struct.pack("<BxHIII", 2, 4, window, EVENT_MASK, SUBSTRUCTURE_NOTIFY)


def attributes(window: int) -> bytes:
    """GetWindowAttributes."""
    return struct.pack("<BxHI", 3, 2, window)


def geometry(window: int) -> bytes:
    """GetGeometry."""
    return struct.pack("<BxHI", 14, 2, window)


def children(window: int) -> bytes:
    """QueryTree."""
    return struct.pack("<BxHI", 15, 2, window)


def text_property(window: int, atom: int) -> bytes:
    """GetProperty of at most 1 KiB, any type."""
    return struct.pack("<BBHIIIII", 20, 0, 6, window, atom, 0, 0, 256)


def atom(name: str) -> bytes:
    """InternAtom, only if it exists."""
    word = name.encode("latin-1")
    return struct.pack("<BBHHxx", 16, 1, 2 + len(padded(word)) // 4, len(word)) + padded(word)


def let_in_local_user(uid: int) -> bytes:
    """Let all processes of that user on the server's machine connect: ChangeHosts, Insert."""
    address = f"localuser\0#{uid}".encode()
    words = 2 + len(padded(address)) // 4
    return struct.pack("<BBHBxH", 109, 0, words, SERVER_INTERPRETED, len(address)) + padded(address)


def image(window: int, width: int, height: int) -> bytes:
    """GetImage of the window's upper left part, all planes."""
    return struct.pack("<BBHIhhHHI", 73, Z_PIXMAP, 5, window, 0, 0, width, height, 0xFFFF_FFFF)


def window_of(packet: Packet) -> int | None:
    """The window of a MapNotify, UnmapNotify or DestroyNotify event; None for other packets."""
    if packet.kind not in {MAP_NOTIFY, UNMAP_NOTIFY, DESTROY_NOTIFY}:
        return None
    (window,) = struct.unpack_from("<I", packet.data, 8)
    return int(window)


def is_viewable(reply: bytes) -> bool:
    """Whether a GetWindowAttributes reply is of a window that is shown."""
    return reply[26] == MAP_VIEWABLE


def parse_size(reply: bytes) -> tuple[int, int]:
    """Width and height of a GetGeometry reply."""
    width, height = struct.unpack_from("<HH", reply, 16)
    return width, height


def parse_children(reply: bytes) -> tuple[int, ...]:
    """The windows of a QueryTree reply; raises BadX11."""
    (count,) = struct.unpack_from("<H", reply, 16)
    try:
        return struct.unpack_from(f"<{count}I", reply, PACKET)
    except struct.error as error:
        raise BadX11("The X server's list of windows is cut short.") from error


def parse_atom(reply: bytes) -> int:
    """The atom of an InternAtom reply; 0 when nobody has used that name yet."""
    (number,) = struct.unpack_from("<I", reply, 8)
    return int(number)


def parse_property(reply: bytes) -> bytes:
    """The value of a GetProperty reply in 8-bit units; empty when it is not set."""
    (count,) = struct.unpack_from("<I", reply, 16)
    return reply[PACKET : PACKET + count] if reply[1] == 8 else b""


def rgb_of_image(reply: bytes, pixels: int) -> bytes:
    """Red, green, blue of each pixel of a GetImage reply, 24 bits deep in 32-bit units.

    Raises BadX11 for another depth.
    """
    data = reply[PACKET : PACKET + pixels * 4]
    if reply[1] not in {24, 32} or len(data) < pixels * 4:
        raise BadX11("Only true colour displays can be photographed.")
    rgb = bytearray(pixels * 3)
    rgb[0::3], rgb[1::3], rgb[2::3] = data[2::4], data[1::4], data[0::4]
    return bytes(rgb)
