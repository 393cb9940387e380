"""Listens for QVD clients: accepts, counts, watches deadlines. A connection is connection.py's.

TLS is our own on plain TCP (tls.server_stream), so that a connection counts from its first moment
and two hundred half-open ones are just two hundred entries of a register.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Coroutine
from typing import Final

from qvdnode.auth.authenticator import Authenticator
from qvdnode.broker.connection import Connection, ConnectionParts
from qvdnode.broker.core.unfinished import Unfinished
from qvdnode.broker.handlers import Handlers
from qvdnode.broker.login import ConnectionLogin
from qvdnode.broker.settings import BrokerSettings
from qvdnode.model.errors import HostFailed
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.supervise import Supervisor
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.runtime.turn_end import TurnEnd
from qvdnode.session.desktops import Desktops
from qvdnode.telemetry.metrics import Counter, Gauge
from qvdnode.tls.server_stream import ServerStream

log = logging.getLogger(__name__)

CONNECTIONS = Gauge("qvdnode_client_connections", "Connections of QVD clients")
UNFINISHED = Gauge("qvdnode_client_unfinished", "Connections without a login yet")
DROPPED = Counter("qvdnode_client_dropped_total", "Connections ended for being too many")

BACKLOG: Final = 1024
WATCH_EVERY_S: Final = 0.5
STOPPING: Final = "This node is stopping; connect again in a moment."


class Endpoint:
    """The listener for clients of one node."""

    def __init__(
        self,
        desktops: Desktops,
        authenticator: Authenticator,
        context: ssl.SSLContext,
        clock: Clock,
        settings: BrokerSettings,
    ) -> None:
        self._context = context
        self._clock = clock
        self._settings = settings
        self._parts = ConnectionParts(
            handlers=Handlers(desktops),
            desktops=desktops,
            new_login=lambda source: ConnectionLogin(
                authenticator, clock, source, settings.login_check_s
            ),
            clock=clock,
            settings=settings,
            turn_end=TurnEnd(),
        )
        self._connections: set[Connection] = set()
        self._all_gone = asyncio.Event()
        self._all_gone.set()
        self._unfinished = Unfinished(
            per_source_max=settings.unfinished_per_source, total_max=settings.unfinished_total
        )
        self._listener: socket.socket | None = None
        self._supervisor: Supervisor | None = None

    def listen(self) -> int:
        """Take the port and return it; clients wait in the kernel for `run`. Raises HostFailed."""
        address, port = self._settings.address, self._settings.port
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            self._listener = socket.create_server(
                (address, port), family=family, backlog=BACKLOG, dualstack_ipv6=address == "::"
            )
        except OSError as error:
            raise HostFailed(
                f"Clients cannot be listened for on {address or '*'} port {port}:"
                f" {error.strerror}. Choose another [clients] address or port, or stop what uses"
                " it."
            ) from error
        return int(self._listener.getsockname()[1])

    async def run(self, *, guests_stay: bool = True) -> None:
        """Serve until cancelled; then every stream is ended and its ticket given back.

        Where the guests run on without the node, streams are cut: their clients then come back.
        """
        if self._listener is None:
            raise RuntimeError("listen() comes before run()")
        loop = asyncio.get_running_loop()
        try:
            async with Supervisor("clients") as supervisor:
                self._supervisor = supervisor
                server = await loop.create_server(
                    self._accept, sock=self._listener, backlog=BACKLOG
                )
                try:
                    await self._watch()
                finally:
                    server.close()
                    for connection in tuple(self._connections):
                        if guests_stay:
                            connection.cut(STOPPING)
                        else:
                            connection.evict(STOPPING)
        finally:
            await self._last_words()

    def connection_opened(self, connection: Connection) -> None:
        """Count it; the oldest of too many goes."""
        self._connections.add(connection)
        self._all_gone.clear()
        CONNECTIONS.inc()
        if len(self._connections) > self._settings.connections_max:
            self._drop(connection)
        else:
            self.connection_unproven(connection)

    def connection_unproven(self, connection: Connection) -> None:
        """Nobody has logged in on it yet; the oldest of too many such connections goes."""
        stalled = self._unfinished.add(connection, connection.source)
        UNFINISHED.set(len(self._unfinished))
        if isinstance(stalled, Connection):
            self._drop(stalled)

    def connection_proven(self, connection: Connection) -> None:
        """It is a client, or may well be one."""
        self._unfinished.remove(connection, connection.source)
        UNFINISHED.set(len(self._unfinished))

    def connection_lost(self, connection: Connection) -> None:
        """Forget it."""
        self._unfinished.remove(connection, connection.source)
        UNFINISHED.set(len(self._unfinished))
        if connection in self._connections:
            self._connections.remove(connection)
            CONNECTIONS.dec()
        if not self._connections:
            self._all_gone.set()

    def spawn(self, name: str, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run the work of one connection, contained."""
        if self._supervisor is None:
            raise RuntimeError("connections come while run() runs")
        return self._supervisor.isolated(name, work)

    def _drop(self, connection: Connection) -> None:
        DROPPED.inc()
        log.info("client_dropped", extra={"source": connection.source})
        connection.drop()

    def _accept(self) -> ServerStream:
        connection = Connection(self._parts, self)
        stream = ServerStream(self._context, self._parts.turn_end, connection)
        connection.attach(stream)
        return stream

    async def _last_words(self) -> None:
        """Let what has been said arrive; whoever does not take it is dropped."""
        try:
            async with TimeLimit(self._settings.farewell_limit_s):
                await self._all_gone.wait()
        except TimeoutError:
            for connection in tuple(self._connections):
                connection.drop()
            await self._all_gone.wait()

    async def _watch(self) -> None:
        while True:
            await self._clock.sleep(WATCH_EVERY_S)
            now_s = self._clock.monotonic_s()
            for connection in tuple(self._connections):
                if connection.deadline_s <= now_s:
                    connection.time_up()
