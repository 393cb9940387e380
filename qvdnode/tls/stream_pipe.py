"""A TLS stream for coroutines: what comes is kept until somebody reads it.

For dialogues, such as the first words of two nodes. What copies bytes or frames takes the stream
over with `release`.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from qvdnode.tls.stream import StreamOwner, TlsStream

KEPT_HIGH_BYTES: Final = 64 * 1024
"""More than this is kept unread, and the other end is not read from."""


class StreamPipe:
    """Satisfies tls.stream.StreamOwner until another owner takes over; one coroutine at a time.

    Reading, `ready` and `drain` raise ConnectionError when the connection is lost, and wait for as
    long as it lasts: the caller limits the time.
    """

    def __init__(self, make_stream: Callable[[StreamOwner], TlsStream]) -> None:
        self._kept = bytearray()
        self._ready = False
        self._eof = False
        self._full = False
        self._changed = asyncio.Event()
        self.stream: Final = make_stream(self)

    async def ready(self) -> None:
        """Return once the handshake is done."""
        while not self._ready:
            await self._change()

    async def read_exactly(self, count: int) -> bytes:
        """Return that many bytes; raises EOFError when the other end finished before them."""
        while len(self._kept) < count:
            if self._eof:
                raise EOFError("the other end has finished")
            self.stream.resume_reading()  # a long message may need more than is kept at most
            await self._change()
        wanted = bytes(self._kept[:count])
        del self._kept[:count]
        return wanted

    def write(self, data: bytes) -> None:
        """Send; ignored once the stream closes."""
        self.stream.write(data)

    async def drain(self) -> None:
        """Return once there is room to send more."""
        while self._full:
            await self._change()

    def close(self) -> None:
        """Send what waits, then close; safe to repeat."""
        self.stream.close()

    def abort(self) -> None:
        """Close at once; safe to repeat."""
        self.stream.abort()

    def release(self, owner: StreamOwner) -> None:
        """Let `owner` have the stream; it is told at once of what came and was not read."""
        self.stream.owner = owner
        self.stream.resume_reading()  # first: the owner may want a pause at once
        if self._full:
            owner.stream_full()
        kept, self._kept = bytes(self._kept), bytearray()
        # What came before the release, in the order in which it came.
        if kept:
            owner.stream_data(kept)
        if self._eof:
            owner.stream_eof()
        if self.stream.lost:
            owner.stream_lost()

    async def closed(self) -> None:
        """Take the stream back from its owner, and return once the connection is gone.

        It is closed when the other end has finished.
        """
        # The former owner hears nothing from here on.
        self.stream.owner = self
        while not self.stream.lost:
            if self._eof:
                self.stream.close()
            self._changed.clear()
            await self._changed.wait()

    def stream_opened(self) -> None:
        """As StreamOwner."""

    def stream_moved(self, before: str) -> None:
        """As StreamOwner."""

    def stream_ready(self) -> None:
        """As StreamOwner."""
        self._ready = True
        self._changed.set()

    def stream_data(self, data: bytes) -> None:
        """As StreamOwner."""
        self._kept += data
        if len(self._kept) > KEPT_HIGH_BYTES:
            self.stream.pause_reading()
        self._changed.set()

    def stream_eof(self) -> None:
        """As StreamOwner."""
        self._eof = True
        self._changed.set()

    def stream_lost(self) -> None:
        """As StreamOwner."""
        self._changed.set()

    def stream_full(self) -> None:
        """As StreamOwner."""
        self._full = True

    def stream_drained(self) -> None:
        """As StreamOwner."""
        self._full = False
        self._changed.set()

    async def _change(self) -> None:
        if self.stream.lost:
            raise ConnectionError(self.stream.broken or "the connection was closed")
        self._changed.clear()
        await self._changed.wait()
