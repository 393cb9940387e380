"""The server's end of a TLS connection, which a load balancer may introduce by a PROXY head."""

import asyncio
import ssl
from typing import Final

from qvdnode.model.source_network import plain_address
from qvdnode.runtime.tick_batch import TickBatch
from qvdnode.tls.core.first_bytes import BadStart, FirstBytes
from qvdnode.tls.core.trusted_proxies import TrustedProxies
from qvdnode.tls.stream import StreamOwner, TlsStream

NO_PROXIES: Final = TrustedProxies()


class ServerStream(TlsStream):
    """A connection that was accepted."""

    __slots__ = ("_first", "_proxies", "peer")

    def __init__(
        self,
        context: ssl.SSLContext,
        tick_batch: TickBatch,
        owner: StreamOwner,
        proxies: TrustedProxies = NO_PROXIES,
    ) -> None:
        """`proxies` begin their connections with a PROXY protocol head that names the client."""
        super().__init__(context, tick_batch, owner, server_side=True)
        self.peer = ""
        """The client's address, without its port; an IPv4 client of an IPv6 listener has IPv4."""
        self._proxies = proxies
        self._first = FirstBytes(behind_proxy=False)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self.peer = plain_address(str(peer[0])) if peer else "?"
        self._first = FirstBytes(behind_proxy=self.peer in self._proxies)
        self._before_tls = self._begin
        self.owner.stream_opened()

    def _begin(self, data: bytes) -> bytes:
        """Return the part of the connection's first bytes that belongs to TLS."""
        try:
            begun = self._first.receive(data)
        except BadStart as error:
            self.broken, self.broken_event = str(error), error.event
            self.abort()
            return b""
        if begun is None:
            return b""
        self._before_tls = None
        source, rest = begun
        if source:
            before, self.peer = self.peer, source
            self.owner.stream_moved(before)
        return rest
