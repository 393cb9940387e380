"""The end of an NX stream at a sandbox's nxproxy, which the relay takes for a client's."""

import asyncio
from typing import Final, cast

from qvdnode.tls.stream import StreamOwner

WRITE_HIGH_BYTES: Final = 128 * 1024


class NxEnd(asyncio.Protocol):
    """One connection over the sandbox's socket; satisfies proxy.ports.ClientStream."""

    owner: StreamOwner
    """Set before the loop uses it."""

    def __init__(self) -> None:
        self._socket: asyncio.Transport | None = None

    @property
    def transport(self) -> asyncio.Transport | None:
        """None: there is no TCP whose other end could fall silent."""
        return None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        # uvloop's transports are not of asyncio's classes, though they behave as them.
        self._socket = cast(asyncio.Transport, transport)
        self._socket.set_write_buffer_limits(high=WRITE_HIGH_BYTES)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self.owner.stream_data(data)

    def eof_received(self) -> bool:
        """Called by the loop; stays open for what the guest still says."""
        self.owner.stream_eof()
        return True

    def connection_lost(self, _exc: Exception | None) -> None:
        """Called by the loop."""
        self._socket = None
        self.owner.stream_lost()

    def pause_writing(self) -> None:
        """Called by the loop."""
        self.owner.stream_full()

    def resume_writing(self) -> None:
        """Called by the loop."""
        self.owner.stream_drained()

    def write(self, data: bytes | memoryview) -> None:
        """Send bytes; ignored once the connection closes."""
        if self._socket is not None and not self._socket.is_closing():
            self._socket.write(data)

    def write_soon(self, data: bytes) -> None:
        """As `write`: no TLS record is spared by waiting."""
        self.write(data)

    def pause_reading(self) -> None:
        """Stop reading; what has arrived may still be delivered."""
        if self._socket is not None and not self._socket.is_closing():
            self._socket.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        if self._socket is not None and not self._socket.is_closing():
            self._socket.resume_reading()

    def close(self) -> None:
        """Close once all is sent. Safe to repeat."""
        if self._socket is not None:
            self._socket.close()

    def abort(self) -> None:
        """Close at once. Safe to repeat."""
        if self._socket is not None:
            self._socket.abort()
