"""A connection to an X server over its unix socket or TCP: requests out, replies and events in."""

import asyncio
import contextlib
import os
import re
import socket
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from qvdnode.model.errors import Unavailable
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.wire import x11
from qvdnode.wire.x11 import BadX11, Packet, Screen

DISPLAY: Final = re.compile(r"(?:unix)?(?P<host>[^:]*):(?P<number>[0-9]{1,5})(?:\.[0-9]+)?")
DIAL_LIMIT_S: Final = 10.0
REPLY_LIMIT_S: Final = 30.0
TCP_BASE: Final = 6000


def local_number(display: str) -> int | None:
    """The number of a display of this machine; None for one that is reached over TCP."""
    found = DISPLAY.fullmatch(display)
    return None if found is None or found["host"] else int(found["number"])


class X11Link:
    """One connection; made by `async with X11Link(display)`, which raises Unavailable."""

    def __init__(self, display: str) -> None:
        self.display = display
        self.screen = Screen(0, 0, 0)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._waiting = bytearray()
        self._sequence = 0
        self._events: deque[Packet] = deque()

    async def __aenter__(self) -> Self:
        """Connect and greet."""
        greeted = False
        try:
            async with TimeLimit(DIAL_LIMIT_S):
                await self._open()
            greeted = True
        except (OSError, TimeoutError, EOFError, BadX11) as error:
            reason = getattr(error, "strerror", None) or str(error) or "it does not answer"
            raise Unavailable(f"The X display {self.display!r} cannot be used: {reason}") from error
        finally:
            if not greeted:  # any error, including cancellation
                await self._close()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Disconnect."""
        await self._close()

    async def ask(self, request: bytes) -> bytes | None:
        """The reply of a request that has one; None when the server answers with an error.

        Events that come meanwhile are kept for `next_event`. Raises Unavailable when the server
        is gone or does not answer.
        """
        self.tell(request)
        try:
            async with TimeLimit(REPLY_LIMIT_S):
                return await self._reply()
        except TimeoutError as error:
            raise Unavailable(f"The X display {self.display} does not answer.") from error

    async def _reply(self) -> bytes | None:
        while True:
            packet = await self._packet()
            if packet.kind not in {x11.REPLY, x11.ERROR}:
                self._events.append(packet)
            elif packet.sequence == self._sequence & 0xFFFF:
                return packet.data if packet.kind == x11.REPLY else None

    def tell(self, request: bytes) -> None:
        """Send a request that has no reply."""
        if self._writer is None:
            raise AssertionError("not connected")
        self._sequence += 1
        self._writer.write(request)

    async def next_event(self) -> Packet:
        """The next event; raises Unavailable when the server is gone."""
        while True:
            packet = self._events.popleft() if self._events else await self._packet()
            if packet.kind not in {x11.REPLY, x11.ERROR}:
                return packet

    async def _open(self) -> None:
        found = DISPLAY.fullmatch(self.display)
        if found is None:
            raise BadX11("it is not a display name")
        host, number = found["host"], int(found["number"])
        if host:
            streams = await asyncio.open_connection(host, TCP_BASE + number)
        else:
            streams = await asyncio.open_unix_connection(f"/tmp/.X11-unix/X{number}")
        self._reader, self._writer = streams
        cookie = await asyncio.to_thread(_cookie, number)
        self._writer.write(x11.setup_request(cookie))
        head = await self._reader.readexactly(8)
        rest = await self._reader.readexactly(x11.setup_reply_length(head))
        self.screen = x11.parse_setup(head + rest)

    async def _packet(self) -> Packet:
        if self._reader is None:
            raise AssertionError("not connected")
        gone = f"The X display {self.display} is gone."
        try:
            while (packet := x11.cut_packet(self._waiting)) is None:
                piece = await self._reader.read(1 << 20)
                self._waiting += piece
                if not piece:
                    raise Unavailable(gone)
        except (OSError, BadX11) as error:
            raise Unavailable(gone) from error
        return packet

    async def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.transport.abort()  # waiting requests are dropped on disconnect
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def _cookie(number: int) -> bytes | None:
    path = Path(os.environ.get("XAUTHORITY") or Path.home() / ".Xauthority")
    with contextlib.suppress(OSError):
        return x11.find_cookie(path.read_bytes(), number, socket.gethostname())
    return None
