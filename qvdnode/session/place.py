"""Where a desktop that does not run yet shall start."""

from collections.abc import Callable

from qvdnode.cluster.core.placement import Wish
from qvdnode.cluster.node_choice import NodeChoice
from qvdnode.model.errors import Unavailable
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import NodeId


class StartChoice:
    """Asks the placement rules; this node can only start what they give to it."""

    def __init__(self, choice: NodeChoice, here: Callable[[], NodeId | None]) -> None:
        self._choice = choice
        self._here = here

    def choose(self, order: DesktopOrder) -> None:
        """Return if the desktop is to start here; raises NodeFull when no node can take it, and
        Unavailable when another node should, or this one has not joined the farm yet."""
        here = self._here()
        if here is None:
            raise Unavailable(
                "The database is away: running desktops go on, new ones cannot start yet."
            )
        wish = Wish(memory_mib=order.flavour.memory_mib, driver=order.flavour.driver)
        node_id = self._choice.choose(wish, ran_last=order.vm.owner_node)
        if node_id != here:
            raise Unavailable(f"This desktop starts on node {node_id}; connect to that node.")
