"""Sends the events of this node's desktops to the node that their viewer is connected to."""

from collections.abc import Callable

from qvdnode.model.ids import NodeId
from qvdnode.model.seat import ViewerEvent


class ViewerEvents:
    """The sink of the fleet's events."""

    def __init__(
        self, here: Callable[[], NodeId | None], to_client: Callable[[ViewerEvent], None]
    ) -> None:
        """`to_client` takes events for clients of this node."""
        self.here = here
        self.to_client = to_client
        self.to_node: Callable[[NodeId, ViewerEvent], None] = lambda _node_id, _event: None
        """Takes events for clients of other nodes."""

    def deliver(self, event: ViewerEvent) -> None:
        """Send the event at once; one that cannot be delivered is dropped."""
        node_id = event.viewer.node_id
        if node_id is None or node_id == self.here():
            self.to_client(event)
        else:
            self.to_node(node_id, event)
