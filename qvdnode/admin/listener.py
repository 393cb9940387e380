"""Serves the application for administrators on a TLS port."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from socket import socket
from typing import Final

from aiohttp import web

from qvdnode.admin.app import build_app
from qvdnode.admin.connection import AdminConnection
from qvdnode.admin.http_protocol import HttpProtocol
from qvdnode.admin.parts import AdminParts
from qvdnode.admin.settings import AdminSettings
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.supervise import Supervisor
from qvdnode.runtime.tick_batch import TickBatch
from qvdnode.telemetry.metrics import Counter, Gauge
from qvdnode.tls.acceptor import Acceptor
from qvdnode.tls.core.trusted_proxies import TrustedProxies
from qvdnode.tls.port_connections import PortConnections, PortLimits, PortMetrics
from qvdnode.tls.server_stream import ServerStream

CONNECTIONS = Gauge("qvdnode_admin_connections", "Connections of administrators and monitors")
UNAUTHENTICATED = Gauge(
    "qvdnode_admin_unauthenticated", "Admin connections without a valid token yet"
)
DROPPED = Counter("qvdnode_admin_dropped", "Admin connections closed because of a limit")
METRICS: Final = PortMetrics(CONNECTIONS, UNAUTHENTICATED, DROPPED)
GRACE_S: Final = 2.0
"""Time for requests that are being answered when the node stops."""


@asynccontextmanager
async def serving(
    parts: AdminParts,
    clock: Clock,
    listener: socket,
    context: Callable[[], ssl.SSLContext],
    settings: AdminSettings,
    trim_memory: Callable[[], None] = lambda: None,
) -> AsyncIterator[None]:
    """Answer on the listener inside; it is closed at the end.

    `context` returns the TLS context of a new connection.
    """
    runner = web.AppRunner(
        build_app(parts, clock), access_log=None, handle_signals=False, shutdown_timeout=GRACE_S
    )
    await runner.setup()
    server = runner.server
    if server is None:
        raise AssertionError("setup() has made it")
    connections: PortConnections[AdminConnection] = PortConnections(
        _limits(settings), METRICS, parts.port_events, clock, trim_memory
    )
    tick_batch = TickBatch()
    proxies = TrustedProxies(settings.proxy_protocol_from)

    def accept() -> ServerStream:
        current = context()
        connection = AdminConnection(
            lambda: HttpProtocol(server, parts.port_events), connections, current, settings, clock
        )
        stream = ServerStream(current, tick_batch, connection, proxies)
        connection.attach(stream)
        return stream

    async with Supervisor("admin") as supervisor:
        accepting = supervisor.essential(
            "accept", Acceptor(listener, accept, connections.has_room).run()
        )
        _ = supervisor.essential("deadlines", connections.watch())
        try:
            yield
        finally:
            accepting.cancel()
            await runner.cleanup()
            for connection in connections.all():
                connection.close()
            await connections.emptied(settings.farewell_limit_s)


def _limits(settings: AdminSettings) -> PortLimits:
    return PortLimits(
        settings.unauthenticated_per_source,
        settings.unauthenticated_total,
        settings.connections_max,
    )
