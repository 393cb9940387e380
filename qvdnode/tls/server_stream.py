"""The server's end of one TLS connection over a plain TCP transport.

The loop's own TLS keeps about half a MiB per connection and hides connections until their handshake
is done. Here ciphertext passes OpenSSL in pieces, so that its buffers stay small, and a connection
is known from its first moment.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Iterator
from typing import Final, Protocol, cast

from qvdnode.model.source_network import plain_address
from qvdnode.runtime.turn_end import TurnEnd
from qvdnode.tls.core.first_bytes import BadStart, FirstBytes
from qvdnode.tls.core.trusted_proxies import TrustedProxies

PIECE_BYTES: Final = 64 * 1024
"""How much passes OpenSSL at once: its memory buffers never grow beyond that and do not shrink."""
NO_PROXIES: Final = TrustedProxies()
RECORD_BYTES: Final = 16 * 1024
"""The plaintext of a TLS record, which is what one read of OpenSSL gives."""
WRITE_HIGH_BYTES: Final = 128 * 1024
"""More waiting than this, and the owner is asked to pause."""


class StreamOwner(Protocol):
    """Who the plaintext belongs to. Calls come from the loop and must not block or raise."""

    def stream_opened(self) -> None:
        """A client has connected; its handshake is still to come."""
        ...

    def stream_moved(self, before: str) -> None:
        """The load balancer at `before` has named its client, whose address `peer` is now."""
        ...

    def stream_ready(self) -> None:
        """The handshake is done."""
        ...

    def stream_data(self, data: bytes) -> None:
        """The client sent this."""
        ...

    def stream_eof(self) -> None:
        """The client will send no more; it may still read."""
        ...

    def stream_lost(self) -> None:
        """The connection is gone, for whatever reason; the last call."""
        ...

    def stream_full(self) -> None:
        """More waits to be sent than should; write less until `stream_drained`."""
        ...

    def stream_drained(self) -> None:
        """There is room again."""
        ...


class ServerStream(asyncio.Protocol):
    """One connection: ciphertext of the transport on one side, plaintext of its owner on the other.

    The owner can be changed at any time, which is how a relay takes a connection over.
    """

    __slots__ = ("_closing", "_due", "_eof", "_first", "_in", "_lost", "_out", "_proxies",
                 "_ready", "_tls", "_transport", "_turn_end", "broken", "broken_event", "owner",
                 "peer")  # fmt: skip

    def __init__(
        self,
        context: ssl.SSLContext,
        turn_end: TurnEnd,
        owner: StreamOwner,
        proxies: TrustedProxies = NO_PROXIES,
    ) -> None:
        """`proxies` begin their connections with a PROXY protocol head that names the client."""
        self.owner = owner
        self.peer = ""
        """The client's address, without its port; an IPv4 client of an IPv6 listener has IPv4."""
        self.broken = ""
        """What the client did that is no TLS of ours; empty while it did nothing of that kind."""
        self.broken_event = "tls_failed"
        """The event that `broken` is logged as."""
        self._proxies = proxies
        self._first: FirstBytes | None = None
        """Reads what comes before TLS; None once TLS has begun."""
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._turn_end = turn_end
        self._due = False
        """Whether what `write_soon` was given waits for the end of the turn."""
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
        peer = transport.get_extra_info("peername")
        self.peer = plain_address(str(peer[0])) if peer else "?"
        self._first = FirstBytes(behind_proxy=self.peer in self._proxies)
        self.owner.stream_opened()

    def data_received(self, data: bytes) -> None:  # noqa: C901 - one call less for every piece
        """Called by the loop: this ciphertext has come, at first perhaps behind a PROXY head."""
        if self._first is not None:
            data = self._begin(self._first, data)
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
                    # A read takes a whole record, so nothing decrypted is left inside OpenSSL, and
                    # to ask costs less than the exception of a read in vain.
                    if not incoming.pending:
                        break
            except ssl.SSLWantReadError:
                pass  # in the middle of a handshake or of a record
            except ssl.SSLError as error:
                self._broken(error)
            if not self._due and self._out.pending:
                self._flush()  # handshake, session tickets, an update of keys

    def eof_received(self) -> bool:
        """Called by the loop: the client closed its side of TCP."""
        if not self._ready or self._closing:
            return False
        self._ended()
        return True

    def connection_lost(self, _exc: Exception | None) -> None:
        """Called by the loop."""
        self._closing = self._lost = True
        # Not later, when the collector finds the circle of stream and owner.
        del self._tls, self._in, self._out
        self.owner.stream_lost()

    def pause_writing(self) -> None:
        """Called by the loop."""
        self.owner.stream_full()

    def resume_writing(self) -> None:
        """Called by the loop."""
        self.owner.stream_drained()

    def write(self, data: bytes | memoryview) -> None:
        """Send plaintext, in TLS records of its own; dropped once the stream closes."""
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
        """As `write`, but sent at the end of this turn of the loop, with what comes until then."""
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
            self._turn_end.call(self._send_due)

    def pause_reading(self) -> None:
        """Take nothing more from the client; what has arrived may still be delivered."""
        if self._transport is not None and not self._closing and not self._lost:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take from the client again."""
        if self._transport is not None and not self._closing and not self._lost:
            self._transport.resume_reading()

    def close(self) -> None:
        """Say goodbye, send what waits, then end the connection. Safe to repeat."""
        if self._closing or self._lost or self._transport is None:
            return
        self._closing = True
        if self._ready:
            with contextlib.suppress(ssl.SSLError):  # the client's goodbye need not have come
                self._tls.unwrap()
        self._flush()
        self._transport.close()

    def finish(self) -> None:
        """Say goodbye after what waits, and drop what the client still says until it ends, too.

        Closing over unread bytes would be a reset, which can take the last answer away from the
        client. The owner sets the limit, by `abort`. Safe to repeat.
        """
        if not self._ready or self._eof:
            self.close()
        if self._closing or self._lost or self._transport is None:
            return
        self._transport.resume_reading()
        self._closing = True
        with contextlib.suppress(ssl.SSLError):  # the client's goodbye need not have come
            self._tls.unwrap()
        self._flush()
        try:
            self._transport.write_eof()
        except (OSError, RuntimeError):  # it is gone already, which the loop has yet to tell
            self._transport.abort()

    def abort(self) -> None:
        """End the connection at once; what waits is lost. Safe to repeat."""
        self._closing = True
        if self._transport is not None and not self._lost:
            self._transport.abort()

    @property
    def transport(self) -> asyncio.Transport | None:
        """The TCP side, for socket options."""
        return self._transport

    def _send_due(self) -> None:
        self._due = False
        self._flush()

    def _begin(self, first: FirstBytes, data: bytes) -> bytes:
        """What of the connection's start belongs to TLS."""
        try:
            begun = first.receive(data)
        except BadStart as error:
            self.broken, self.broken_event = str(error), error.event
            self.abort()
            return b""
        if begun is None:
            return b""
        self._first = None
        source, rest = begun
        if source:
            before, self.peer = self.peer, source
            self.owner.stream_moved(before)
        return rest

    def _shake_hands(self) -> None:
        self._tls.do_handshake()
        self._ready = True
        self._flush()
        self.owner.stream_ready()

    def _ended(self) -> None:
        if not self._eof and not self._closing:
            self._eof = True
            self.owner.stream_eof()

    def _flush(self) -> None:
        if not self._lost and self._out.pending and self._transport is not None:
            self._transport.write(self._out.read())

    def _broken(self, error: ssl.SSLError) -> None:
        self.broken = str(error.reason or error)
        self._flush()  # the alert that tells the client why
        self._closing = True
        if self._transport is not None and not self._lost:
            self._transport.close()


def _pieces(data: bytes | memoryview) -> Iterator[memoryview]:
    view = memoryview(data)
    for start in range(0, len(view), PIECE_BYTES):
        yield view[start : start + PIECE_BYTES]
