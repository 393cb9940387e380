"""Several nodes' peer ends in one process, on one real database, each with a folder of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from qvdnode.cluster.settings import ClusterSettings
from qvdnode.db.farm import Farm
from qvdnode.db.migrate import steps
from qvdnode.db.nodes import NodeMembership, NodePorts, Nodes
from qvdnode.db.pool import Database
from qvdnode.model.ids import NodeId
from qvdnode.peer.admission import Admission, FarmDatabase
from qvdnode.peer.dialer import Dialer
from qvdnode.peer.directory import FILE_NAME, Directory
from qvdnode.peer.enrolment import Enrolment
from qvdnode.peer.farm_files import FarmFiles
from qvdnode.peer.invitations import parse_token, parse_url
from qvdnode.peer.join_farm import Joined, NewNode, join_farm
from qvdnode.peer.listener import Listener, Services
from qvdnode.peer.own_identity import OwnIdentity
from qvdnode.peer.ports import PeerConnection, PeerService, Purpose
from qvdnode.peer.settings import PeerSettings
from qvdnode.runtime.clock import Clock, SystemClock
from qvdnode.runtime.supervise import Supervisor

LOOPBACK = "127.0.0.1"
BOOT = "boot-1"


class Echo:
    """A service that sends back what it gets, four bytes at a time."""

    def __init__(self) -> None:
        self.served: list[NodeId] = []

    async def serve(self, connection: PeerConnection) -> None:
        """As PeerService."""
        self.served.append(connection.node_id)
        try:
            while True:
                connection.pipe.write(await connection.pipe.read_exactly(4))
        except (EOFError, ConnectionError):
            connection.pipe.close()


@dataclass
class PeerNode:
    """One node, as far as other nodes see it."""

    name: str
    folder: Path
    database: Database
    clock: Clock = field(default_factory=SystemClock)
    dsn: str = "postgresql://farm@db/farm"

    def __post_init__(self) -> None:
        """Put the parts together; nothing runs yet."""
        self.folder.mkdir(exist_ok=True)
        self.own = OwnIdentity(FarmFiles(self.folder))
        _ = self.own.load()
        self.nodes = Nodes(self.database)
        self.directory = Directory(self.folder / FILE_NAME, self.clock)
        self.directory.follow(self.nodes)
        self.listener = Listener(
            self.own,
            self.directory,
            PeerSettings(address=LOOPBACK, port=0, hello_limit_s=1.0),
            self.clock,
            lambda: None,
        )
        self.port = self.listener.listen()
        self.dialer = Dialer(self.own, self.directory, self.clock)
        self.enrolment = Enrolment(
            self.own, Farm(self.database), self.nodes, self.clock, name=self.name
        )
        self.admission = Admission(
            self.enrolment,
            lambda: FarmDatabase(self.dsn, None, len(steps())),
            ClusterSettings(),
            self.clock,
            lambda: (LOOPBACK, self.port),
        )
        self.echo = Echo()
        self.seat = NodeMembership(NodeId(0), 0)

    async def enter(self) -> None:
        """Take the node's place, as a node does at its start."""
        await self.enrolment.ensure_farm()
        self.seat = await self.nodes.join(
            self.name,
            BOOT,
            LOOPBACK,
            ports=NodePorts(peer=self.port),
            node_id=self.enrolment.node_id(),
        )
        await self.enrolment.enter(self.seat)
        await self.directory.refresh()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["PeerNode"]:
        """Answer other nodes inside."""
        others: dict[Purpose, PeerService] = {Purpose.CALLS: self.echo}
        async with Supervisor(self.name) as tasks:
            _ = tasks.essential("port", self.listener.run(Services(self.admission, others)))
            try:
                yield self
            finally:
                self.listener.close()

    async def invited_by(self, other: "PeerNode", *, schema: int | None = None) -> Joined:
        """Join by an invitation of that node."""
        made = await other.admission.invite(name=None, life_s=600)
        return await self.join(made.url, made.token, schema=schema)

    async def join(self, url: str, token: str, *, schema: int | None = None) -> Joined:
        """Join with that invitation."""
        new = NewNode(self.name, LOOPBACK, self.port, len(steps()) if schema is None else schema)
        place, parsed = parse_url(url), parse_token(token)
        return await join_farm(place, parsed, new, self.own.files, self.clock)


async def echoed(node: PeerNode, other: PeerNode) -> bytes:
    """What comes back from the other node's service."""
    connection = await node.dialer.dial(other.seat.node_id, Purpose.CALLS)
    try:
        connection.pipe.write(b"ping")
        async with asyncio.timeout(30):
            return await connection.pipe.read_exactly(4)
    finally:
        connection.pipe.close()
