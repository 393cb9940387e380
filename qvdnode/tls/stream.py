"""One TLS connection over a plain TCP transport, for either end.

The event loop's own TLS needs about half a MiB per connection and reports a connection only after
its handshake. Here OpenSSL gets the ciphertext in small pieces, so that its buffers stay small, and
the owner knows of a connection from the start.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterator
from typing import Final, Protocol, cast

from qvdnode.runtime.tick_batch import TickBatch

PIECE_BYTES: Final = 64 * 1024
"""Bytes given to OpenSSL at once. Its memory buffers grow to that size and never shrink."""
RECORD_BYTES: Final = 16 * 1024
"""Largest plaintext of one TLS record, which one read of OpenSSL returns."""
DUE_MAX_BYTES: Final = 256 * 1024
"""More than this of `write_soon` is sent before the end of the iteration. libuv may read from one
socket 32 times in an iteration, and only what is handed to the transport holds a sender back."""
UNREAD_BYTES_MAX: Final = 1024 * 1024
"""More than this waits for the other end, and it is closed when TLS itself has something to answer.
OpenSSL answers each update of keys and each refused renegotiation, without limit, and a client that
asks for them and reads nothing could fill the memory of the node."""
WRITE_HIGH_BYTES: Final = 128 * 1024
"""The owner is asked to pause when more than this waits to be sent."""


class StreamOwner(Protocol):
    """Receives the plaintext. The event loop calls it; its methods must not block or raise."""

    def stream_opened(self) -> None:
        """The connection is there; its handshake has not begun."""
        ...

    def stream_moved(self, before: str) -> None:
        """The load balancer at `before` has named its client, whose address `peer` is now."""
        ...

    def stream_ready(self) -> None:
        """The handshake is done."""
        ...

    def stream_data(self, data: bytes) -> None:
        """Take plaintext from the other end."""
        ...

    def stream_eof(self) -> None:
        """The other end sends no more but may still read."""
        ...

    def stream_lost(self) -> None:
        """The connection is closed, for any reason. No further call follows."""
        ...

    def stream_full(self) -> None:
        """The send buffer is full; stop writing until `stream_drained`."""
        ...

    def stream_drained(self) -> None:
        """The send buffer has room again."""
        ...


class TlsStream(asyncio.Protocol):
    """One connection: ciphertext to and from the transport, plaintext to and from the owner.

    The owner can be replaced at any time; so a relay takes over a connection.
    """

    __slots__ = (
        "_before_tls", "_closing", "_due", "_eof", "_in", "_lost", "_out", "_ready", "_tick_batch",
        "_tls", "_transport", "broken", "broken_event", "owner", "truncated",
    )  # fmt: skip

    def __init__(
        self,
        context: ssl.SSLContext,
        tick_batch: TickBatch,
        owner: StreamOwner,
        *,
        server_side: bool,
        server_hostname: str | None = None,
    ) -> None:
        """`server_hostname` is the name that a client expects of the server's certificate."""
        self.owner = owner
        self.broken = ""
        """The other end's error before or in TLS, empty if there was none."""
        self.broken_event = "tls_failed"
        """The event that `broken` is logged as."""
        self.truncated = False
        """Whether the other end closed TCP without a close_notify, as a process that dies does."""
        self._before_tls: Callable[[bytes], bytes] | None = None
        """Takes what comes before TLS and returns the rest; None once TLS has begun."""
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._in, self._out, server_side=server_side, server_hostname=server_hostname
        )
        self._tick_batch = tick_batch
        self._due = False
        """Whether data of `write_soon` waits for the end of this iteration of the loop."""
        self._transport: asyncio.Transport | None = None
        self._ready = False
        self._eof = False
        self._closing = False
        self._lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        # uvloop's transports are not of asyncio's classes, though they behave as them.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)

    def data_received(self, data: bytes) -> None:  # noqa: C901, PLR0912 - fewer calls a piece
        """Called by the loop with ciphertext; other bytes may come before it."""
        if self._before_tls is not None:
            data = self._before_tls(data)
        for piece in (data,) if len(data) <= PIECE_BYTES else _pieces(data):
            if self._closing:
                return
            incoming = self._in
            incoming.write(piece)
            try:
                if not self._ready:
                    self._shake_hands()
                while not self._closing:
                    plain = self._tls.read(RECORD_BYTES)
                    if not plain:  # close_notify
                        self._ended()
                        break
                    self.owner.stream_data(plain)
                    # A read returns a whole record, so OpenSSL holds no more plaintext. To check
                    # for input costs less than the exception of an empty read.
                    if not incoming.pending:
                        break
            except ssl.SSLWantReadError:
                pass  # in the middle of a handshake or of a record
            except ssl.SSLZeroReturnError:  # close_notify, after our own
                self._ended()
            except ssl.SSLError as error:
                self._broken(error)
            if self._out.pending:
                self._answer()

    def eof_received(self) -> bool:
        """Called by the loop: the other end closed its side of TCP."""
        if not self._ready or self._closing:
            return False
        self.truncated = not self._eof
        self._ended()
        return True

    def connection_lost(self, _exc: Exception | None) -> None:
        """Called by the loop."""
        self._closing = self._lost = True
        # Stream and owner refer to each other: free OpenSSL's memory now, not at the next
        # garbage collection.
        self._before_tls = None
        del self._tls, self._in, self._out
        self.owner.stream_lost()

    def pause_writing(self) -> None:
        """Called by the loop."""
        self.owner.stream_full()

    def resume_writing(self) -> None:
        """Called by the loop."""
        self.owner.stream_drained()

    def write(self, data: bytes | memoryview) -> None:
        """Send plaintext in TLS records of its own; ignored once the stream closes."""
        transport = self._transport
        if self._closing or transport is None:
            return
        try:
            for piece in _pieces(data):
                self._tls.write(piece)
                transport.write(self._out.read())
        except ssl.SSLError as error:
            self._broken(error)

    def write_soon(self, data: bytes) -> None:
        """As `write`, but sent at the end of this loop iteration, together with later writes."""
        if self._closing:
            return
        try:
            if len(data) <= PIECE_BYTES:
                self._tls.write(data)
            else:
                for piece in _pieces(data):
                    self._flush()
                    self._tls.write(piece)
        except ssl.SSLError as error:
            self._broken(error)
            return
        if not self._due:
            self._due = True
            self._tick_batch.call(self._send_due)
        if self._out.pending > DUE_MAX_BYTES:
            self._flush()

    def pause_reading(self) -> None:
        """Stop reading; data that has arrived may still be delivered."""
        if self._transport is not None and not self._closing and not self._lost:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        if self._transport is not None and not self._closing and not self._lost:
            self._transport.resume_reading()

    def close(self) -> None:
        """Send close_notify and all waiting data, then close the connection. Safe to repeat."""
        if self._closing or self._lost or self._transport is None:
            return
        self._closing = True
        if self._ready:
            with contextlib.suppress(ssl.SSLError):  # the other end's close_notify may be missing
                self._tls.unwrap()
        self._flush()
        self._transport.close()

    def write_eof(self) -> None:
        """Send all waiting data and close_notify, and go on reading. Nothing may be written then.

        Raises nothing when the connection is closed meanwhile; safe to repeat.
        """
        transport = self._transport
        if self._closing or transport is None or not transport.can_write_eof():
            return
        with contextlib.suppress(ssl.SSLError):  # the other end's close_notify is to come
            self._tls.unwrap()
        self._flush()
        with contextlib.suppress(OSError, RuntimeError):  # closed; the loop will report it
            transport.write_eof()

    def finish(self) -> None:
        """Send all waiting data and close_notify, then discard input until the other end closes.

        To close a socket with unread input sends a TCP reset, and the client could lose the last
        answer. The owner limits the wait by calling `abort`. Safe to repeat.
        """
        if not self._ready or self._eof:
            self.close()
        if self._closing or self._lost or self._transport is None:
            return
        self._transport.resume_reading()
        self._closing = True
        with contextlib.suppress(ssl.SSLError):  # the other end's close_notify may be missing
            self._tls.unwrap()
        self._flush()
        try:
            self._transport.write_eof()
        except (OSError, RuntimeError):  # closed already; the loop has not reported it yet
            self._transport.abort()

    def abort(self) -> None:
        """Close the connection at once and drop waiting data. Safe to repeat."""
        self._closing = True
        if self._transport is not None and not self._lost:
            self._transport.abort()

    @property
    def transport(self) -> asyncio.Transport | None:
        """The TCP side, for socket options."""
        return self._transport

    @property
    def lost(self) -> bool:
        """Whether the connection is gone."""
        return self._lost

    def is_closing(self) -> bool:
        """Whether nothing can be written any more."""
        return self._closing

    def waiting_bytes(self) -> int:
        """Ciphertext that the kernel has yet to take."""
        if self._lost or self._transport is None:
            return 0
        return self._transport.get_write_buffer_size() + self._out.pending

    def peer_certificate(self) -> bytes | None:
        """The certificate of the other end in DER, None if it showed none; once it is ready."""
        return None if self._lost else self._tls.getpeercert(binary_form=True)

    def _send_due(self) -> None:
        self._due = False
        self._flush()

    def _shake_hands(self) -> None:
        self._tls.do_handshake()
        self._ready = True
        self._flush()
        self.owner.stream_ready()

    def _answer(self) -> None:
        """Send what TLS itself has to say: handshake, session tickets, an update of keys."""
        if not self._due:
            self._flush()
        transport = self._transport
        if transport is None or self._closing or self._lost:
            return
        if transport.get_write_buffer_size() + self._out.pending > UNREAD_BYTES_MAX:
            self.broken, self.broken_event = "it reads no answers", "tls_failed"
            self.abort()

    def _ended(self) -> None:
        if not self._eof and not self._closing:
            self._eof = True
            self.owner.stream_eof()

    def _flush(self) -> None:
        if not self._lost and self._out.pending and self._transport is not None:
            self._transport.write(self._out.read())

    def _broken(self, error: ssl.SSLError) -> None:
        self.broken = getattr(error, "verify_message", "") or str(error.reason or error)
        self._flush()  # the alert that tells the client why
        self._closing = True
        if self._transport is not None and not self._lost:
            self._transport.close()


def _pieces(data: bytes | memoryview) -> Iterator[memoryview]:
    view = memoryview(data)
    for start in range(0, len(view), PIECE_BYTES):
        yield view[start : start + PIECE_BYTES]
