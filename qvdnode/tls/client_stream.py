"""The client's end of a TLS connection: a node that dials another one."""

import asyncio
import contextlib
import ssl

from qvdnode.runtime.tick_batch import TickBatch
from qvdnode.tls.stream import StreamOwner, TlsStream


class ClientStream(TlsStream):
    """A connection that was dialled; the handshake begins by itself."""

    __slots__ = ()

    def __init__(
        self,
        context: ssl.SSLContext,
        tick_batch: TickBatch,
        owner: StreamOwner,
        server_hostname: str | None = None,
    ) -> None:
        """`server_hostname` is needed where the context checks it."""
        super().__init__(
            context, tick_batch, owner, server_side=False, server_hostname=server_hostname
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        super().connection_made(transport)
        self.owner.stream_opened()
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
        self._flush()
