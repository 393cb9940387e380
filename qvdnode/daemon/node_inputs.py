"""What a node is built from."""

from dataclasses import dataclass

from qvdnode.daemon.config import Config
from qvdnode.daemon.database_way import DatabaseWay
from qvdnode.daemon.peers import PeerParts
from qvdnode.db.pool import Database
from qvdnode.net.core.resolvers import Resolvers
from qvdnode.runtime.clock import Clock
from qvdnode.tls.identity import NodeIdentity
from qvdnode.vm.instance import Instance


@dataclass(frozen=True, slots=True)
class NodeInputs:
    """What the parts of a node are built from: configuration, clock, database, certificate."""

    config: Config
    clock: Clock
    database: Database
    way: DatabaseWay
    identity: NodeIdentity
    peers: PeerParts
    resolvers: Resolvers
    """What guests resolve names with."""

    @property
    def instance(self) -> Instance:
        """What the node's guests have in common."""
        servers = tuple(map(str, self.resolvers.servers))
        return self.config.instance(servers, self.resolvers.search)
