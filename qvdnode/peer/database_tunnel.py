"""The farm's database on another node, over the peer link: it has no port of its own.

On this end a unix socket that only root can open; on the other the embedded server's own socket.
Each connection of the database has a peer connection.
"""

import asyncio
import contextlib
import hashlib
import logging
import shutil
from collections import Counter
from pathlib import Path
from typing import Final

from qvdnode.model.errors import HostFailed, Unavailable
from qvdnode.model.ids import NodeId
from qvdnode.peer.ports import PeerConnection, PeerDialer, Purpose
from qvdnode.runtime.supervise import Supervisor
from qvdnode.tls.stream_pipe import StreamPipe

log = logging.getLogger(__name__)

SOCKETS: Final = Path("/run")
SOCKET_NAME: Final = ".s.PGSQL.5432"
PIECE_BYTES: Final = 64 * 1024
CONNECTIONS_PER_NODE: Final = 16
"""A node that asks for more has lost count of those that it has."""


class DatabaseTunnel:
    """This end: a folder with a socket that leads to the other node's database."""

    def __init__(
        self, state_dir: Path, pid: int, dialer: PeerDialer, node_id: NodeId, *, number: int = 0
    ) -> None:
        """Several processes of this host may have some each, told apart by `number`."""
        name = hashlib.sha256(str(state_dir).encode()).hexdigest()[:10]
        self._parent = SOCKETS / f"qvdnode-db-{name}"
        self.folder = self._parent / f"{pid}-{number}"
        """The folder of the socket, for a DSN."""
        self._dialer = dialer
        self._node_id = node_id
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, tasks: Supervisor) -> None:
        """Listen, with `tasks` as the owner of the connections; raises HostFailed."""
        try:
            self._parent.mkdir(mode=0o700, exist_ok=True)
            self._sweep()
            self.folder.mkdir(mode=0o700)

            def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                _ = tasks.isolated("database-tunnel", self._carry(reader, writer))

            self._server = await asyncio.start_unix_server(accepted, self.folder / SOCKET_NAME)
        except OSError as error:
            raise HostFailed(
                f"The way to the farm's database cannot be made in {self.folder}: {error.strerror}"
            ) from error

    def close(self) -> None:
        """Stop listening and remove the socket; safe to repeat."""
        if self._server is not None:
            self._server.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _sweep(self) -> None:
        """Remove what processes left that were killed."""
        for left in self._parent.iterdir():
            if left == self.folder or not Path(f"/proc/{left.name.partition('-')[0]}").exists():
                shutil.rmtree(left, ignore_errors=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            connection = await self._dialer.dial(self._node_id, Purpose.DATABASE)
        except Unavailable as error:
            log.debug("database_tunnel_refused", extra={"because": str(error)})
            writer.close()
            return
        await join_streams(connection.pipe, reader, writer)


class DatabaseService:
    """The other end: satisfies peer.ports.PeerService."""

    def __init__(self, socket: Path) -> None:
        """`socket` is the embedded server's."""
        self._socket = socket
        self._open: Counter[NodeId] = Counter()

    async def serve(self, connection: PeerConnection) -> None:
        """As PeerService."""
        node_id = connection.node_id
        if self._open[node_id] >= CONNECTIONS_PER_NODE:
            log.warning("database_tunnel_full", extra={"node": node_id})
            return
        self._open[node_id] += 1
        try:
            reader, writer = await asyncio.open_unix_connection(self._socket)
            await join_streams(connection.pipe, reader, writer)
        except OSError as error:
            log.warning("database_tunnel_broken", extra={"node": node_id, "because": str(error)})
        finally:
            self._open[node_id] -= 1


class _Copy:
    """Copies a peer connection to a local stream. Satisfies tls.stream.StreamOwner."""

    def __init__(self, pipe: StreamPipe, writer: asyncio.StreamWriter) -> None:
        self._stream = pipe.stream
        self._writer = writer
        self._room = asyncio.Event()
        self._room.set()
        self._filled = asyncio.Event()
        self.over = asyncio.Event()

    def stream_opened(self) -> None:
        """As StreamOwner."""

    def stream_moved(self, before: str) -> None:
        """As StreamOwner."""

    def stream_ready(self) -> None:
        """As StreamOwner."""

    def stream_data(self, data: bytes) -> None:
        """As StreamOwner."""
        self._writer.write(data)
        if self._writer.transport.get_write_buffer_size() > PIECE_BYTES:
            self._stream.pause_reading()
            self._filled.set()

    def stream_eof(self) -> None:
        """As StreamOwner."""
        self.over.set()

    def stream_lost(self) -> None:
        """As StreamOwner."""
        self.over.set()
        self._room.set()

    def stream_full(self) -> None:
        """As StreamOwner."""
        self._room.clear()

    def stream_drained(self) -> None:
        """As StreamOwner."""
        self._room.set()

    async def upwards(self, reader: asyncio.StreamReader) -> None:
        """Copy what the local end says, until it has finished or is lost."""
        with contextlib.suppress(OSError):
            while data := await reader.read(PIECE_BYTES):
                self._stream.write(data)
                await self._room.wait()

    async def resume(self) -> None:
        """Read from the other node again whenever the local end has taken what it was sent."""
        with contextlib.suppress(OSError):
            while True:
                await self._filled.wait()
                self._filled.clear()
                await self._writer.drain()
                self._stream.resume_reading()


async def join_streams(
    pipe: StreamPipe, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Copy both ways until either end is over; both are closed then."""
    copy = _Copy(pipe, writer)
    pipe.release(copy)
    async with Supervisor("tunnel") as tasks:
        for work in (copy.upwards(reader), copy.resume()):
            task = tasks.isolated("copy", work)
            task.add_done_callback(lambda _: copy.over.set())
        try:
            await copy.over.wait()
        finally:
            pipe.close()
            writer.close()
