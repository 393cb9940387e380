"""What cluster needs from other packages; daemon/build.py passes the implementations in."""

from typing import Protocol

from qvdnode.cluster.core.placement import Load
from qvdnode.model.ids import NodeId


class LeaseStore(Protocol):
    """Keeps the leases of the farm's nodes, by the clock of the database."""

    async def renew(self, node_id: NodeId, epoch: int, ttl_s: float) -> bool:
        """Prolong the lease; False when this node was fenced or has joined again.

        Raises Unavailable.
        """
        ...

    async def leave(self, node_id: NodeId, epoch: int, *, guests_stay: bool) -> None:
        """End the lease of a node that stops; raises Unavailable."""
        ...


class LoadSource(Protocol):
    """Knows the load of the farm's nodes."""

    def loads(self) -> list[Load]:
        """Return the latest figures of each node; this node's own are current."""
        ...


class NodeNames(Protocol):
    """Knows what people call the nodes of the farm."""

    def name(self, node_id: NodeId) -> str:
        """The node's name, also of a removed one; its number while the name is not known."""
        ...

    def removed(self, node_id: NodeId) -> bool:
        """Whether it was removed from the farm, as far as this node knows."""
        ...

    def with_homes_of(self, node_id: NodeId) -> frozenset[NodeId]:
        """The nodes that have the same homes as that one, itself included."""
        ...
