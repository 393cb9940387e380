"""Listens for QVD clients: accepts and counts connections and watches their deadlines.

TLS is our own on plain TCP (tls.stream), so that a connection counts from its first moment
and two hundred half-open ones are just two hundred entries of a table.
"""

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from typing import Final

from qvdnode.auth.authenticator import Authenticator
from qvdnode.broker.connection import Connection, ConnectionParts
from qvdnode.broker.handlers import Handlers
from qvdnode.broker.login import ConnectionLogin
from qvdnode.broker.settings import BrokerSettings
from qvdnode.model.ids import UserId
from qvdnode.proxy.ports import GuestDialer
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.supervise import Supervisor
from qvdnode.runtime.tick_batch import TickBatch
from qvdnode.session.desktops import Desktops
from qvdnode.telemetry.metrics import Counter, Gauge
from qvdnode.telemetry.repeated_events import RepeatedEvents
from qvdnode.tls.acceptor import Acceptor, listen
from qvdnode.tls.core.trusted_proxies import TrustedProxies
from qvdnode.tls.port_connections import PortConnections, PortLimits, PortMetrics
from qvdnode.tls.server_stream import ServerStream

CONNECTIONS = Gauge("qvdnode_client_connections", "Connections of QVD clients")
UNAUTHENTICATED = Gauge("qvdnode_client_unauthenticated", "Connections without a login yet")
DROPPED = Counter("qvdnode_client_dropped_total", "Client connections closed because of a limit")

STOPPING: Final = "This node is stopping; connect again in a moment."


class Endpoint:
    """The listener for clients of one node."""

    def __init__(  # noqa: PLR0913 - each is a part of the node that clients need
        self,
        desktops: Desktops,
        authenticator: Authenticator,
        context: Callable[[], ssl.SSLContext],
        clock: Clock,
        settings: BrokerSettings,
        dialer: GuestDialer,
        trim_memory: Callable[[], None] = lambda: None,
    ) -> None:
        """`context` returns the TLS context of a new connection, `dialer` connects to displays."""
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
            tick_batch=TickBatch(),
            dialer=dialer,
        )
        self._connections: PortConnections[Connection] = PortConnections(
            PortLimits(
                settings.unauthenticated_per_source,
                settings.unauthenticated_total,
                settings.connections_max,
            ),
            PortMetrics(CONNECTIONS, UNAUTHENTICATED, DROPPED),
            RepeatedEvents("clients", clock.monotonic_s),
            clock,
            trim_memory,
        )
        self._proxies = TrustedProxies(settings.proxy_protocol_from)
        self._resting: dict[UserId, dict[Connection, None]] = {}
        self._rests_for: dict[Connection, UserId] = {}
        self._acceptor: Acceptor | None = None
        self._supervisor: Supervisor | None = None

    def listen(self) -> int:
        """Bind the port and return it; the kernel queues clients until `run`. Raises HostFailed."""
        listener = listen(self._settings.address, self._settings.port, section="clients")
        self._acceptor = Acceptor(listener, self._accept, self._connections.has_room)
        return int(listener.getsockname()[1])

    async def run(self, *, guests_stay: bool = True) -> None:
        """Serve until cancelled, then end every stream and give its ticket back.

        With `guests_stay` streams end like lost links, so that their clients reconnect.
        """
        if self._acceptor is None:
            raise RuntimeError("listen() comes before run()")
        try:
            async with Supervisor("clients") as supervisor:
                self._supervisor = supervisor
                accepting = supervisor.essential("accept", self._acceptor.run())
                try:
                    await self._connections.watch()
                finally:
                    accepting.cancel()
                    for connection in self._connections.all():
                        if guests_stay:
                            connection.cut(STOPPING)
                        else:
                            connection.evict(STOPPING)
        finally:
            await self._connections.emptied(self._settings.farewell_limit_s)

    def connection_opened(self, connection: Connection) -> None:
        """Count the connection; close the oldest one beyond a limit."""
        self._connections.opened(connection)

    def connection_moved(self, connection: Connection, before: str) -> None:
        """Count the connection by its client's address instead of its load balancer's."""
        self._connections.moved(connection, before)

    def connection_unauthenticated(self, connection: Connection) -> None:
        """Count it as unauthenticated; close the oldest such connection beyond a limit."""
        self._connections.unauthenticated(connection)

    def connection_authenticated(self, connection: Connection) -> None:
        """Do not count it as unauthenticated while its request is being answered."""
        self._connections.authenticated(connection)

    def connection_rests(self, connection: Connection, user_id: UserId) -> None:
        """Count it among its user's idle connections; close the oldest one beyond the limit."""
        self.connection_busy(connection)
        self._rests_for[connection] = user_id
        resting = self._resting.setdefault(user_id, {})
        resting[connection] = None
        if len(resting) > self._settings.idle_per_user:
            oldest = next(iter(resting))
            DROPPED.inc()
            self._connections.events.note(
                "connection_dropped", oldest.source, "too many of one user"
            )
            oldest.drop()

    def connection_busy(self, connection: Connection) -> None:
        """Do not count it as idle any more."""
        user_id = self._rests_for.pop(connection, None)
        if user_id is not None:
            del self._resting[user_id][connection]
            if not self._resting[user_id]:
                del self._resting[user_id]

    def connection_lost(self, connection: Connection) -> None:
        """Forget it."""
        self.connection_busy(connection)
        self._connections.lost(connection)

    def connection_refused(self, event: str, connection: Connection, because: str) -> None:
        """Count and log a refusal."""
        self._connections.events.note(event, connection.source, because)

    def spawn(self, name: str, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run the work of one connection, contained."""
        if self._supervisor is None:
            raise RuntimeError("connections come while run() runs")
        return self._supervisor.isolated(name, work)

    def _accept(self) -> ServerStream:
        connection = Connection(self._parts, self)
        stream = ServerStream(self._context(), self._parts.tick_batch, connection, self._proxies)
        connection.attach(stream)
        return stream
