"""What cluster needs of the world. Each Protocol is met in daemon/build.py."""

from typing import Protocol

from qvdnode.cluster.core.placement import Load
from qvdnode.model.ids import NodeId


class LeaseStore(Protocol):
    """Keeps the leases of the farm's nodes, by the clock of the database."""

    async def renew(self, node_id: NodeId, epoch: int, ttl_s: float) -> bool:
        """Prolong the lease; False when this node was fenced or joined anew; raises
        Unavailable."""
        ...

    async def leave(self, node_id: NodeId, epoch: int, *, guests_stay: bool) -> None:
        """End the lease of a node that stops; raises Unavailable."""
        ...


class LoadSource(Protocol):
    """Knows how the nodes of the farm are doing."""

    def loads(self) -> list[Load]:
        """What each node told last; this node's own figures are fresh."""
        ...
