"""A server that says back what it hears, over the node's own TLS stream."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from qvdnode.runtime.tick_batch import TickBatch
from qvdnode.tls.server_stream import ServerStream


class Echo:
    """Satisfies tls.stream.StreamOwner."""

    def __init__(self, stream_ended: Callable[["Echo"], None]) -> None:
        self._stream_ended = stream_ended
        self.stream: ServerStream

    def stream_opened(self) -> None:
        """Nothing is to be done."""

    def stream_moved(self, before: str) -> None:
        """Nothing is to be done."""

    def stream_ready(self) -> None:
        """Nothing is to be done."""

    def stream_data(self, data: bytes) -> None:
        """Say it back."""
        self.stream.write(data)

    def stream_eof(self) -> None:
        """Hang up, too."""
        self.stream.close()

    def stream_lost(self) -> None:
        """Tell the test."""
        self._stream_ended(self)

    def stream_full(self) -> None:
        """As a relay does: go on reading."""

    def stream_drained(self) -> None:
        """Nothing is to be done."""


@asynccontextmanager
async def echoing(
    context: Callable[[], ssl.SSLContext],
    stream_ended: Callable[[Echo], None] = lambda _: None,
) -> AsyncIterator[int]:
    """The port of the server, which uses a new context for each connection."""
    batch = TickBatch()

    def accept() -> ServerStream:
        owner = Echo(stream_ended)
        owner.stream = ServerStream(context(), batch, owner)
        return owner.stream

    server = await asyncio.get_running_loop().create_server(accept, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
