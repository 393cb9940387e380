"""The port for other nodes: who may connect, and to which service.

A caller is let in by its certificate (the farm's authority), by its row (not removed, the same key)
and by its hello (this farm, a version both speak). Until then it counts as unauthenticated, as on
the ports of clients and people. When a node is removed its connections are closed.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from qvdnode.model.errors import FarmError
from qvdnode.peer import hello
from qvdnode.peer.directory import Directory
from qvdnode.peer.own_identity import OwnIdentity
from qvdnode.peer.ports import PeerConnection, PeerService, Purpose
from qvdnode.peer.settings import PeerSettings
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.supervise import Supervisor
from qvdnode.runtime.tick_batch import TickBatch
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.telemetry.metrics import Counter, Gauge
from qvdnode.telemetry.repeated_events import RepeatedEvents
from qvdnode.tls.acceptor import Acceptor, listen
from qvdnode.tls.farm_authority import BadCertificate, PeerIdentity, read_node
from qvdnode.tls.port_connections import PortConnections, PortLimits, PortMetrics
from qvdnode.tls.server_stream import ServerStream
from qvdnode.tls.stream import StreamOwner, TlsStream
from qvdnode.tls.stream_pipe import StreamPipe
from qvdnode.wire.peer_hello import REMOVED, Hello, HelloError, agreed_version, version_refusal

if TYPE_CHECKING:
    import socket

    from qvdnode.model.ids import NodeId

log = logging.getLogger(__name__)

METRICS: Final = PortMetrics(
    Gauge("qvdnode_peer_connections", "Connections at the port for other nodes"),
    Gauge(
        "qvdnode_peer_unauthenticated_connections",
        "Connections at the port for other nodes that have not proved to be one's",
    ),
    Counter("qvdnode_peer_connections_dropped", "Connections closed since there were too many"),
)
CLOSE_LIMIT_S: Final = 2.0


class JoinService(Protocol):
    """Admits new nodes."""

    def authority(self) -> str:
        """The certificate of the farm's authority in PEM; raises Unavailable."""
        ...

    async def serve(self, pipe: StreamPipe, source: str, greeting: Hello) -> str | None:
        """Answer one request to join; why it was refused, or None.

        Raises what peer.hello.receive does.
        """
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """Who serves the connections, by their purpose."""

    join: JoinService
    others: Mapping[Purpose, PeerService]


class _Refused(Exception):
    """The caller is not let in; the text is for it, and the code for its program."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class _InboundPipe(StreamPipe):
    """Says when its connection is there."""

    def __init__(
        self, make_stream: Callable[[StreamOwner], TlsStream], opened: Callable[[], None]
    ) -> None:
        self._opened = opened
        super().__init__(make_stream)

    def stream_opened(self) -> None:
        """As StreamOwner."""
        self._opened()


class _Inbound:
    """One connection. Satisfies tls.port_connections.PortConnection."""

    def __init__(self, listener: "Listener", deadline_s: float) -> None:
        context, tick_batch = listener.own.server_context(), listener.tick_batch
        self.pipe = _InboundPipe(
            lambda owner: ServerStream(context, tick_batch, owner), lambda: listener.opened(self)
        )
        self.deadline_s = deadline_s
        self.node_id: NodeId | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def source(self) -> str:
        """As PortConnection."""
        stream = self.pipe.stream
        return stream.peer if isinstance(stream, ServerStream) else ""

    def time_up(self) -> None:
        """As PortConnection."""
        self.drop()

    def drop(self) -> None:
        """As PortConnection."""
        self.pipe.abort()
        if self.task is not None:
            self.task.cancel()


class Listener:
    """The peer port."""

    def __init__(
        self,
        own: OwnIdentity,
        directory: Directory,
        settings: PeerSettings,
        clock: Clock,
        trim_memory: Callable[[], None],
    ) -> None:
        self.own = own
        self.tick_batch = TickBatch()
        self._directory = directory
        self._settings = settings
        self._clock = clock
        self._events = RepeatedEvents("peer", clock.monotonic_s)
        limits = PortLimits(
            settings.unauthenticated_per_source,
            settings.unauthenticated_total,
            settings.connections_max,
        )
        self._connections: PortConnections[_Inbound] = PortConnections(
            limits, METRICS, self._events, clock, trim_memory
        )
        self._socket: socket.socket | None = None
        self._services: Services | None = None
        self._tasks: Supervisor | None = None
        directory.on_change(self._drop_removed)

    def listen(self) -> int:
        """Take the port, whose number is returned; nobody is answered yet. Raises HostFailed."""
        self._socket = listen(self._settings.address, self._settings.port, section="peer")
        return int(self._socket.getsockname()[1])

    def close(self) -> None:
        """Let the port go; safe to repeat."""
        if self._socket is not None:
            self._socket.close()

    async def run(self, services: Services) -> None:
        """Serve until cancelled; waits for this node's certificate first."""
        if self._socket is None:
            raise AssertionError("listen() comes first")
        self._services = services
        while not self.own.ready:
            await self._clock.sleep(0.1)
        acceptor = Acceptor(self._socket, self._accepted, self._connections.has_room)
        async with Supervisor("peers") as self._tasks:
            _ = self._tasks.essential("limits", self._connections.watch())
            try:
                await acceptor.run()
            finally:
                # Their tasks belong to the supervisor, which waits for them.
                for connection in self._connections.all():
                    connection.drop()

    def _accepted(self) -> asyncio.Protocol:
        deadline_s = self._clock.monotonic_s() + self._settings.hello_limit_s
        return _Inbound(self, deadline_s).pipe.stream

    def opened(self, connection: _Inbound) -> None:
        """A caller has connected."""
        if self._tasks is None:
            raise AssertionError("accepted while running")
        self._connections.opened(connection)
        connection.task = self._tasks.isolated("connection", self._serve(connection))

    async def _serve(self, connection: _Inbound) -> None:
        try:
            await self._let_in(connection)
        except _Refused as error:
            self._events.note("peer_refused", connection.source, str(error))
        except (HelloError, BadCertificate) as error:
            self._events.note("peer_malformed", connection.source, str(error))
        except (OSError, EOFError) as error:  # ConnectionError, TimeoutError among them
            because = connection.pipe.stream.broken or str(error)
            self._events.note("peer_lost", connection.source, because)
        finally:
            connection.pipe.close()
            self._connections.lost(connection)

    async def _let_in(self, connection: _Inbound) -> None:
        pipe, services = connection.pipe, self._services
        if services is None:
            raise AssertionError("set by run")
        async with TimeLimit(self._settings.hello_limit_s):
            await pipe.ready()
            identity = _identity(pipe)
            greeting = await hello.receive(pipe, Hello)
            if identity is None:
                await self._join(connection, greeting, services.join)
                return
            try:
                version, service = await self._admitted(identity, greeting, services)
            except _Refused as error:
                refusal = hello.answer(self._clock, refusal=str(error), code=error.code)
                hello.send(pipe, refusal)
                raise
        hello.send(pipe, hello.answer(self._clock, version=version))
        connection.node_id = identity.node_id
        # From here on the connection may be silent for as long as its service allows.
        connection.deadline_s = float("inf")
        self._connections.authenticated(connection)
        await service.serve(PeerConnection(identity.node_id, version, pipe))

    async def _admitted(
        self, identity: PeerIdentity, greeting: Hello, services: Services
    ) -> tuple[int, PeerService]:
        own_farm = self.own.member.farm_id
        if identity.farm_id != own_farm or greeting.farm != own_farm:
            raise _Refused("this node is of another farm")
        refusal = await self._directory.admit(identity)
        if refusal is not None:
            # Only where a row says so: a node that is not known may be new.
            removed = self._directory.removed(identity.node_id)
            raise _Refused(refusal, REMOVED if removed else "")
        version = _version(greeting)
        try:
            service = services.others[Purpose(greeting.purpose)]
        except (ValueError, KeyError):
            raise _Refused(f"this node does not serve {greeting.purpose[:40]!r}") from None
        difference = hello.clock_difference(greeting.time_ms, self._clock)
        if difference is not None:
            self._events.note("peer_clock_differs", connection_name(identity), difference)
        return version, service

    async def _join(self, connection: _Inbound, greeting: Hello, service: JoinService) -> None:
        """A caller without a certificate can ask to join, and nothing else."""
        pipe = connection.pipe
        try:
            version = _version_to_join(greeting)
            authority = service.authority()
        except (_Refused, FarmError) as error:
            hello.send(pipe, hello.answer(self._clock, refusal=str(error)))
            raise _Refused(str(error)) from error
        hello.send(pipe, hello.answer(self._clock, version=version, authority=authority))
        refusal = await service.serve(pipe, connection.source, greeting)
        if refusal is not None:
            self._events.note("join_refused", connection.source, refusal)

    def _drop_removed(self) -> None:
        known = {peer.address.node_id for peer in self._directory.all()}
        for connection in self._connections.all():
            if connection.node_id is not None and connection.node_id not in known:
                log.warning(
                    "peer_dropped", extra={"node": connection.node_id, "because": "removed"}
                )
                connection.drop()


def connection_name(identity: PeerIdentity) -> str:
    """A caller for the log."""
    return f"node {identity.node_id}"


def _identity(pipe: StreamPipe) -> PeerIdentity | None:
    certificate = pipe.stream.peer_certificate()
    return None if certificate is None else read_node(certificate)


def _version(greeting: Hello) -> int:
    version = agreed_version(greeting.oldest, greeting.newest)
    if version is None:
        raise _Refused(version_refusal(greeting.oldest, greeting.newest, greeting.program[:40]))
    return version


def _version_to_join(greeting: Hello) -> int:
    if greeting.purpose != Purpose.JOIN:
        raise _Refused("a certificate of this farm is needed")
    return _version(greeting)
