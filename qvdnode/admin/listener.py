"""Serves the application for people on a TLS port."""

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from qvdnode.admin.app import build_app
from qvdnode.admin.parts import AdminParts
from qvdnode.model.errors import HostFailed
from qvdnode.runtime.clock import Clock

BACKLOG: Final = 128
GRACE_S: Final = 2.0
"""For requests that are being answered when the node stops."""


def listen(address: str, port: int) -> socket.socket:
    """Take the port, any free one for 0; raises HostFailed. Nothing is answered yet."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server(
            (address, port), family=family, backlog=BACKLOG, dualstack_ipv6=address == "::"
        )
    except OSError as error:
        raise HostFailed(
            f"REST cannot be listened for on {address or '*'} port {port}: {error.strerror}. "
            "Choose another [admin] address or port, or stop what uses it."
        ) from error


@asynccontextmanager
async def serving(
    parts: AdminParts, clock: Clock, listener: socket.socket, context: ssl.SSLContext
) -> AsyncIterator[None]:
    """Answer on the listener inside; it is closed at the end."""
    runner = web.AppRunner(
        build_app(parts, clock), access_log=None, handle_signals=False, shutdown_timeout=GRACE_S
    )
    await runner.setup()
    try:
        await web.SockSite(runner, listener, ssl_context=context).start()
        yield
    finally:
        await runner.cleanup()
        listener.close()
