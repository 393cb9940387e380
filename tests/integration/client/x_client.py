"""A program with windows on an X display, by the protocol's bytes."""

import socket
import struct
from types import TracebackType
from typing import Self

from qvdnode.wire import x11

STRING = 31
CREATE, DESTROY, MAP, UNMAP, CHANGE_PROPERTY, SEND_EVENT, GET_FOCUS = 1, 4, 8, 10, 18, 25, 43
CLIENT_MESSAGE = 33


class XClient:
    """One connection; each call returns once the server has done it."""

    def __init__(self, display: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(5)
        self._socket.connect(f"/tmp/.X11-unix/X{display[1:]}")
        self._socket.sendall(x11.setup_request(None))
        head = self._exactly(8)
        reply = head + self._exactly(x11.setup_reply_length(head))
        self._root = x11.parse_setup(reply).root
        (self._next,) = struct.unpack_from("<I", reply, 12)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def create(self, window: int | None = None) -> int:
        """A window that is not mapped, of a new number or of this one."""
        if window is None:
            self._next += 1
            window = self._next
        places = struct.pack("<hhHHHHI", 0, 0, 64, 64, 0, 1, 0)
        self._do(struct.pack("<BBHII", CREATE, 0, 8, window, self._root) + places + bytes(4))
        return window

    def name(self, window: int, kind: bytes = b"NXAgent") -> None:
        """Set the window's class."""
        value = kind + b"\0" + kind + b"\0"
        padded = x11.padded(value)
        head = (CHANGE_PROPERTY, 0, 6 + len(padded) // 4, window, x11.WM_CLASS, STRING, 8)
        self._do(struct.pack("<BBHIIIBxxxI", *head, len(value)) + padded)

    def show(self, window: int) -> None:
        """Map it."""
        self._do(struct.pack("<BxHI", MAP, 2, window))

    def hide(self, window: int) -> None:
        """Unmap it."""
        self._do(struct.pack("<BxHI", UNMAP, 2, window))

    def destroy(self, window: int) -> None:
        """End it."""
        self._do(struct.pack("<BxHI", DESTROY, 2, window))

    def ask_to_close(self, window: int) -> None:
        """What a window manager sends when a person closes a window: WM_DELETE_WINDOW."""
        kind, what = (self._atom(name) for name in ("WM_PROTOCOLS", "WM_DELETE_WINDOW"))
        event = struct.pack("<BBHII5I", CLIENT_MESSAGE, 32, 0, window, kind, what, 0, 0, 0, 0)
        self._do(struct.pack("<BBHII", SEND_EVENT, 0, 11, window, 0) + event)

    def desktop(self) -> int:
        """A window as nxagent makes it."""
        window = self.create()
        self.name(window)
        self.show(window)
        return window

    def _do(self, request: bytes) -> None:
        self._socket.sendall(request + struct.pack("<BxH", GET_FOCUS, 1))
        answer = self._exactly(x11.PACKET)
        assert answer[0] == x11.REPLY, f"X error {answer[1]} of request {request[0]}"

    def _atom(self, name: str) -> int:
        self._socket.sendall(x11.atom(name))
        return x11.parse_atom(self._exactly(x11.PACKET))

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self._socket.recv(count - len(data))
            assert piece, "the X server hung up"
            data += piece
        return data
