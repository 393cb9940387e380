"""Names of nodes that no database knows."""

from qvdnode.model.ids import NodeId

REMOVED = NodeId(99)
SHARING = frozenset({NodeId(7), NodeId(8)})


class Names:
    """Satisfies cluster.ports.NodeNames: node 2 is `desk2`; number 99 was removed."""

    def name(self, node_id: NodeId) -> str:
        """The name."""
        return f"desk{node_id}"

    def removed(self, node_id: NodeId) -> bool:
        """Whether it was."""
        return node_id == REMOVED

    def with_homes_of(self, node_id: NodeId) -> frozenset[NodeId]:
        """Nodes 7 and 8 share their homes."""
        return SHARING if node_id in SHARING else frozenset({node_id})


NAMES = Names()
