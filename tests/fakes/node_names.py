"""Names of nodes that no database knows."""

from qvdnode.model.ids import NodeId

REMOVED = NodeId(99)


class Names:
    """Satisfies cluster.ports.NodeNames: node 2 is `desk2`; number 99 was removed."""

    def name(self, node_id: NodeId) -> str:
        """The name."""
        return f"desk{node_id}"

    def removed(self, node_id: NodeId) -> bool:
        """Whether it was."""
        return node_id == REMOVED


NAMES = Names()
