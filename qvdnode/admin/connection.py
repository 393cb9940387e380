"""One connection of the administrators' port: aiohttp's HTTP over tls.stream.

aiohttp has no time limit for a request head, and measures idleness only after the TLS handshake.
Here a connection has a deadline from the start, and the port's table of connections can end it.
"""

import asyncio
import math
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from qvdnode.admin.settings import AdminSettings
from qvdnode.runtime.clock import Clock
from qvdnode.tls.server_stream import ServerStream

if TYPE_CHECKING:
    from qvdnode.tls.port_connections import PortConnections


class AdminConnection:
    """Satisfies tls.stream.StreamOwner and tls.port_connections.PortConnection."""

    __slots__ = (
        "_admitted",
        "_answering",
        "_authenticated",
        "_clock",
        "_closing",
        "_connections",
        "_context",
        "_full",
        "_http",
        "_make_http",
        "_mid_head",
        "_settings",
        "_tls",
        "deadline_s",
    )  # fmt: skip

    def __init__(
        self,
        make_http: Callable[[], asyncio.Protocol],
        connections: "PortConnections[AdminConnection]",
        context: ssl.SSLContext,
        settings: AdminSettings,
        clock: Clock,
    ) -> None:
        self.deadline_s = clock.monotonic_s() + settings.head_limit_s
        """When the port calls `time_up`, by the monotonic clock."""
        self._make_http = make_http
        self._connections = connections
        self._context = context
        self._settings = settings
        self._clock = clock
        self._tls: ServerStream | None = None
        self._http: asyncio.Protocol | None = None
        self._mid_head = True
        """Whether a request head is being received; also True before the first one."""
        self._answering = False
        self._admitted = False
        """Whether the current request has a valid token."""
        self._authenticated = False
        self._full = False
        self._closing = False

    def attach(self, stream: ServerStream) -> None:
        """Set the stream that this connection owns, before the loop uses it."""
        self._tls = stream

    @property
    def source(self) -> str:
        """The client's address."""
        return self.stream.peer

    @property
    def stream(self) -> ServerStream:
        """The TLS side."""
        if self._tls is None:
            raise RuntimeError("attach() comes first")
        return self._tls

    def stream_opened(self) -> None:
        """Add the connection to the port's table."""
        self._connections.opened(self)

    def stream_moved(self, before: str) -> None:
        """Count the connection under the client that the load balancer names."""
        self._connections.moved(self, before)

    def stream_ready(self) -> None:
        """Start HTTP after the TLS handshake; the time for the first head goes on."""
        self._http = self._make_http()
        self._http.connection_made(StreamTransport(self, self._context))

    def stream_data(self, data: bytes) -> None:
        """Pass received bytes to HTTP."""
        if not self._answering and not self._mid_head:
            # The first byte of a later head starts its limit: more bytes do not prolong it.
            self._mid_head = True
            self._end_by(self._settings.head_limit_s)
        if self._http is not None:
            self._http.data_received(data)

    def stream_eof(self) -> None:
        """Close too: HTTP clients do not half-close a TLS connection, so this one has left."""
        self.close()

    def stream_lost(self) -> None:
        """Remove the connection from the table, and log why TLS failed, if it did."""
        if self.stream.broken:
            self._connections.events.note(self.stream.broken_event, self.source, self.stream.broken)
        self._connections.lost(self)
        if self._http is not None:
            self._http.connection_lost(None)
            self._http = None

    def stream_full(self) -> None:
        """Stop writing, and limit the time: the client does not read its answer."""
        self._full = True
        self._end_by(self._settings.idle_limit_s)
        if self._http is not None:
            self._http.pause_writing()

    def stream_drained(self) -> None:
        """Continue writing: the client has read its answer."""
        self._full = False
        if not self._closing:
            self.deadline_s = math.inf if self._answering else self._later_s()
        if self._http is not None:
            self._http.resume_writing()

    def request_begun(self) -> None:
        """Remove the deadline: the head is complete, and the handler limits the body."""
        self._answering, self._mid_head, self._admitted = True, False, False
        if not self._full:
            self.deadline_s = math.inf

    def request_admitted(self) -> None:
        """Count the connection as authenticated."""
        self._admitted = True
        if not self._authenticated:
            self._authenticated = True
            self._connections.authenticated(self)

    def request_ended(self) -> None:
        """Set the idle deadline; without a valid token, count as unauthenticated again."""
        self._answering = False
        if not self._closing:
            self.deadline_s = self._later_s()
        if self._authenticated and not self._admitted:
            self._authenticated = False
            self._connections.unauthenticated(self)

    def time_up(self) -> None:
        """End the connection: the time for a head, for idleness or for closing is over."""
        if self._closing or self._full:
            self.drop()
            return
        if self._mid_head:
            self._connections.events.note(
                "connection_timed_out", self.source, "no whole request came"
            )
        self.close()

    def close(self) -> None:
        """Send close_notify after all data, and wait `farewell_limit_s` for the client to read."""
        if not self._closing:
            self._closing = True
            self.deadline_s = self._clock.monotonic_s() + self._settings.farewell_limit_s
            self.stream.finish()

    def drop(self) -> None:
        """Close the connection at once."""
        self._closing = True
        self.stream.abort()

    @property
    def closing(self) -> bool:
        """Whether close or drop was called."""
        return self._closing

    def _later_s(self) -> float:
        return self._clock.monotonic_s() + self._settings.idle_limit_s

    def _end_by(self, limit_s: float) -> None:
        self.deadline_s = min(self.deadline_s, self._clock.monotonic_s() + limit_s)


class StreamTransport(asyncio.Transport):
    """The transport that aiohttp writes plaintext to."""

    def __init__(self, connection: AdminConnection, context: ssl.SSLContext) -> None:
        super().__init__({"sslcontext": context})
        self.connection = connection

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - asyncio's own
        """Return facts of TCP and TLS; `peername` is the client's, not the load balancer's."""
        tcp = self.connection.stream.transport
        own = super().get_extra_info(name)
        if name == "peername":
            return self.connection.source, 0
        return own if own is not None or tcp is None else tcp.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send data."""
        self.connection.stream.write(memoryview(data))

    def pause_reading(self) -> None:
        """Stop reading from the client."""
        self.connection.stream.pause_reading()

    def resume_reading(self) -> None:
        """Read from the client again."""
        self.connection.stream.resume_reading()

    def is_closing(self) -> bool:
        """Whether close or abort was called."""
        return self.connection.closing

    def close(self) -> None:
        """Close after the written data is sent."""
        self.connection.close()

    def abort(self) -> None:
        """Close at once."""
        self.connection.drop()


ADMITTED: Final = web.RequestKey("admitted", bool)
"""Set on a request with a valid token."""


def admit(request: web.Request) -> None:
    """Mark a request as one with a valid token."""
    request[ADMITTED] = True
    connection = connection_of(request)
    if connection is not None:
        connection.request_admitted()


def connection_of(request: web.Request) -> AdminConnection | None:
    """Return the connection of a request; None when another server runs the application."""
    transport = request.transport
    return transport.connection if isinstance(transport, StreamTransport) else None
