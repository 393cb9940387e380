"""Connections between nodes on loopback: real sockets and TLS, and a hello that is believed."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from qvdnode.model.errors import Unavailable
from qvdnode.model.ids import NodeId
from qvdnode.peer.ports import PeerConnection, PeerService, Purpose
from qvdnode.runtime.supervise import Supervisor
from qvdnode.runtime.tick_batch import TickBatch
from qvdnode.tls.client_stream import ClientStream
from qvdnode.tls.server_stream import ServerStream
from qvdnode.tls.stream_pipe import StreamPipe
from tests.fakes.qvd_server import context_for_tests

HELLO_BYTES = 16
VERSION = 1


@dataclass
class PeerNetwork:
    """Nodes by their ids, and the connections that there are."""

    folder: Path
    ports: dict[NodeId, int] = field(default_factory=dict)
    tick_batch: TickBatch = field(default_factory=TickBatch)
    away: dict[NodeId, str] = field(default_factory=dict)
    """Why a node cannot be dialled."""
    held: asyncio.Event | None = None
    """What dialling waits for, if anything."""
    dialling: int = 0
    """How many wait for it."""
    dialled: list[tuple[PeerConnection, Purpose]] = field(default_factory=list)
    """Every connection that was made, as the end that dialled has it."""
    accepted: list[tuple[PeerConnection, Purpose]] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def node(
        self, node_id: NodeId, services: Mapping[Purpose, PeerService], port: int = 0
    ) -> AsyncIterator[None]:
        """A node that serves until the end of the scope; then its connections break."""
        context = context_for_tests(self.folder)
        async with Supervisor(f"node-{node_id}") as tasks:

            def accept() -> ServerStream:
                pipe = StreamPipe(lambda owner: ServerStream(context, self.tick_batch, owner))
                _ = tasks.isolated("peer", self._serve(pipe, services))
                assert isinstance(pipe.stream, ServerStream)
                return pipe.stream

            loop = asyncio.get_running_loop()
            server = await loop.create_server(accept, "127.0.0.1", port)
            self.ports[node_id] = server.sockets[0].getsockname()[1]
            try:
                yield
            finally:
                server.close()

    def dialer(self, here: NodeId) -> "NetworkDialer":
        """How that node dials others."""
        return NetworkDialer(self, here)

    def cut(self, purpose: Purpose) -> None:
        """Break every connection of that purpose."""
        for connection, made_for in [*self.dialled, *self.accepted]:
            if made_for is purpose:
                connection.pipe.abort()

    async def _serve(self, pipe: StreamPipe, services: Mapping[Purpose, PeerService]) -> None:
        try:
            hello = (await pipe.read_exactly(HELLO_BYTES)).decode().split()
        except (ConnectionError, EOFError):
            return
        connection = PeerConnection(NodeId(int(hello[0])), VERSION, pipe)
        self.accepted.append((connection, Purpose(hello[1])))
        await services[Purpose(hello[1])].serve(connection)


@dataclass
class NetworkDialer:
    """Satisfies peer.ports.PeerDialer."""

    network: PeerNetwork
    here: NodeId

    async def dial(self, node_id: NodeId, purpose: Purpose) -> PeerConnection:
        """As PeerDialer."""
        await self._hold()
        why = self.network.away.get(node_id)
        if why is not None:
            raise Unavailable(why)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        pipe = StreamPipe(lambda owner: ClientStream(context, self.network.tick_batch, owner))
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(
                lambda: pipe.stream, "127.0.0.1", self.network.ports[node_id]
            )
            await pipe.ready()
        except (OSError, KeyError) as error:
            raise Unavailable(f"node {node_id} is away: {error}") from error
        pipe.write(f"{self.here} {purpose}".ljust(HELLO_BYTES).encode())
        connection = PeerConnection(node_id, VERSION, pipe)
        self.network.dialled.append((connection, purpose))
        return connection

    async def _hold(self) -> None:
        if self.network.held is not None:
            self.network.dialling += 1
            await self.network.held.wait()
