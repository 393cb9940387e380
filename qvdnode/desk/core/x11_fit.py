"""Keeps the desktop's window as large as the screen that a browser asks for; pure.

An X client of the sandbox's display: it watches the root window and configures whatever is mapped
there. nxagent in a window follows its window's size; full-screen it would not.
What the display says is not trusted: the guest may have taken it over.
"""

import struct
from typing import Final

from qvdnode.wire import x11
from qvdnode.wire.x11 import BadX11

WAITING_MAX: Final = 256 * 1024
"""Bytes of one packet of the display; ours have 32, its greeting a few thousand."""
SETUP_HEAD: Final = 8
WINDOWS_MAX: Final = 64
CONFIGURE_NOTIFY: Final = 22
STRUCTURE_NOTIFY: Final = 1 << 17
_CHANGE_ATTRIBUTES, _CONFIGURE_WINDOW = 2, 12
_X_Y_WIDTH_HEIGHT: Final = 0xF
_OVERRIDE_AT, _WINDOW_AT, _SIZE_AT = 12, 8, 20


class Fit:
    """The state of one display's fitting: bytes in, bytes out."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._root = 0
        self._size = (0, 0)
        self._windows: dict[int, None] = {}

    @property
    def shown(self) -> bool:
        """Whether a window is there."""
        return bool(self._windows)

    @staticmethod
    def greeting() -> bytes:
        """The first bytes to send."""
        return x11.setup_request(None)

    def receive(self, data: bytes) -> bytes:
        """Take what the display sent; the requests to send it. Raises BadX11.

        However often the screen was resized, only its last size counts.
        """
        self._waiting += data
        out: list[bytes] = []
        if not self._root:
            out.append(self._begin())
        before = self._size
        while self._root and (packet := x11.cut_packet(self._waiting)) is not None:
            out.append(self._event(packet.kind, packet.data))
        if len(self._waiting) > WAITING_MAX:
            raise BadX11("The display sent a packet that is too large.")
        if self._size != before:
            out += map(self._place, self._windows)
        return b"".join(out)

    def _begin(self) -> bytes:
        if len(self._waiting) < SETUP_HEAD:
            return b""
        length = SETUP_HEAD + x11.setup_reply_length(bytes(self._waiting[:SETUP_HEAD]))
        if len(self._waiting) < length:
            return b""
        screen = x11.parse_setup(bytes(self._waiting[:length]))
        del self._waiting[:length]
        if not screen.root:
            raise BadX11("The display has no root window.")
        self._root, self._size = screen.root, (screen.width, screen.height)
        mask = STRUCTURE_NOTIFY | x11.SUBSTRUCTURE_NOTIFY
        return struct.pack("<BxHIII", _CHANGE_ATTRIBUTES, 4, self._root, x11.EVENT_MASK, mask)

    def _event(self, kind: int, data: bytes) -> bytes:
        if kind == CONFIGURE_NOTIFY:
            self._note_size(data)
            return b""
        (window,) = struct.unpack_from("<I", data, _WINDOW_AT)
        if kind == x11.MAP_NOTIFY and not data[_OVERRIDE_AT]:
            if len(self._windows) >= WINDOWS_MAX:
                raise BadX11("The display has too many windows.")
            self._windows[window] = None
            return self._place(window)
        if kind in {x11.UNMAP_NOTIFY, x11.DESTROY_NOTIFY}:
            self._windows.pop(window, None)
        return b""

    def _note_size(self, data: bytes) -> None:
        (window,) = struct.unpack_from("<I", data, _WINDOW_AT)
        if window == self._root:
            self._size = struct.unpack_from("<HH", data, _SIZE_AT)

    def _place(self, window: int) -> bytes:
        return struct.pack(
            "<BxHIHxxiiII",
            _CONFIGURE_WINDOW,
            7,
            window,
            _X_Y_WIDTH_HEIGHT,
            0,
            0,
            *self._size,
        )
