"""One connection of the administrators' port: aiohttp's HTTP over tls.stream.

aiohttp has no limit for a head and takes a connection for idle only after its handshake. Here a
connection has a deadline from its first moment, and its register can end it.
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
        "_clock",
        "_closing",
        "_connections",
        "_context",
        "_full",
        "_http",
        "_make_http",
        "_mid_head",
        "_proven",
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
        """Whether a head has begun, which is also said of the first one before it has."""
        self._answering = False
        self._admitted = False
        """Whether the present request has brought a valid token."""
        self._proven = False
        self._full = False
        self._closing = False

    def attach(self, stream: ServerStream) -> None:
        """Set the stream that this connection owns, before the loop uses it."""
        self._tls = stream

    @property
    def source(self) -> str:
        """The caller's address."""
        return self.stream.peer

    @property
    def stream(self) -> ServerStream:
        """The TLS side."""
        if self._tls is None:
            raise RuntimeError("attach() comes first")
        return self._tls

    def stream_opened(self) -> None:
        """A caller has connected."""
        self._connections.opened(self)

    def stream_moved(self, before: str) -> None:
        """The load balancer has named the client."""
        self._connections.moved(self, before)

    def stream_ready(self) -> None:
        """Its handshake is done; the time for the first head goes on running."""
        self._http = self._make_http()
        self._http.connection_made(StreamTransport(self, self._context))

    def stream_data(self, data: bytes) -> None:
        """The caller sent this."""
        if not self._answering and not self._mid_head:
            self._mid_head = True
            self._end_by(self._settings.head_limit_s)
        if self._http is not None:
            self._http.data_received(data)

    def stream_eof(self) -> None:
        """The caller sends no more. Who asks over TLS does not half-close: it has left."""
        self.close()

    def stream_lost(self) -> None:
        """The connection is gone."""
        if self.stream.broken:
            self._connections.events.note(self.stream.broken_event, self.source, self.stream.broken)
        self._connections.lost(self)
        if self._http is not None:
            self._http.connection_lost(None)
            self._http = None

    def stream_full(self) -> None:
        """The caller does not read its answer."""
        self._full = True
        self._end_by(self._settings.idle_limit_s)
        if self._http is not None:
            self._http.pause_writing()

    def stream_drained(self) -> None:
        """The caller has caught up."""
        self._full = False
        if not self._closing:
            self.deadline_s = math.inf if self._answering else self._later_s()
        if self._http is not None:
            self._http.resume_writing()

    def request_begun(self) -> None:
        """A whole head has come; what its body may take is the handler's to say."""
        self._answering, self._mid_head, self._admitted = True, False, False
        if not self._full:
            self.deadline_s = math.inf

    def request_admitted(self) -> None:
        """It has brought a valid token."""
        self._admitted = True
        if not self._proven:
            self._proven = True
            self._connections.authenticated(self)

    def request_ended(self) -> None:
        """Its answer is made; after a request without a valid token it is a stranger's again."""
        self._answering = False
        if not self._closing:
            self.deadline_s = self._later_s()
        if self._proven and not self._admitted:
            self._proven = False
            self._connections.unauthenticated(self)

    def time_up(self) -> None:
        """The deadline has passed: of a head, of idleness, or of a goodbye."""
        if self._closing or self._full:
            self.drop()
            return
        if self._mid_head:
            self._connections.events.note(
                "connection_timed_out", self.source, "no whole request came"
            )
        self.close()

    def close(self) -> None:
        """Say goodbye; what was sent before has a while to arrive."""
        if not self._closing:
            self._closing = True
            self.deadline_s = self._clock.monotonic_s() + self._settings.farewell_limit_s
            self.stream.finish()

    def drop(self) -> None:
        """End the connection at once."""
        self._closing = True
        self.stream.abort()

    @property
    def closing(self) -> bool:
        """Whether nothing more can be sent."""
        return self._closing

    def _later_s(self) -> float:
        return self._clock.monotonic_s() + self._settings.idle_limit_s

    def _end_by(self, limit_s: float) -> None:
        self.deadline_s = min(self.deadline_s, self._clock.monotonic_s() + limit_s)


class StreamTransport(asyncio.Transport):
    """What aiohttp writes to: the plaintext side of a stream."""

    def __init__(self, connection: AdminConnection, context: ssl.SSLContext) -> None:
        super().__init__({"sslcontext": context})
        self.connection = connection

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - asyncio's own
        """Of the TCP connection, and the context of TLS; the peer's address is its client's."""
        tcp = self.connection.stream.transport
        own = super().get_extra_info(name)
        if name == "peername":
            return self.connection.source, 0
        return own if own is not None or tcp is None else tcp.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send it."""
        self.connection.stream.write(memoryview(data))

    def pause_reading(self) -> None:
        """Take nothing more from the caller."""
        self.connection.stream.pause_reading()

    def resume_reading(self) -> None:
        """Take from the caller again."""
        self.connection.stream.resume_reading()

    def is_closing(self) -> bool:
        """Whether nothing more can be sent."""
        return self.connection.closing

    def close(self) -> None:
        """End after what was written."""
        self.connection.close()

    def abort(self) -> None:
        """End at once."""
        self.connection.drop()


ADMITTED: Final = web.RequestKey("admitted", bool)
"""Set on a request that has brought a valid token."""


def admit(request: web.Request) -> None:
    """Note that a request has brought a valid token."""
    request[ADMITTED] = True
    connection = connection_of(request)
    if connection is not None:
        connection.request_admitted()


def connection_of(request: web.Request) -> AdminConnection | None:
    """The connection that a request came on; None when another server runs the application."""
    transport = request.transport
    return transport.connection if isinstance(transport, StreamTransport) else None
