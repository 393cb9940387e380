"""Chooses the node on which a desktop starts that does not run yet."""

from collections.abc import Callable

from qvdnode.cluster.core.placement import Wish
from qvdnode.cluster.scheduler import Scheduler
from qvdnode.model.errors import Unavailable
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import NodeId


class LocalPlacement:
    """Placement as this node sees it: it must have joined the farm."""

    def __init__(self, choice: Scheduler, here: Callable[[], NodeId | None]) -> None:
        self._choice = choice
        self._here = here

    def choose(self, order: DesktopOrder) -> NodeId:
        """The node that is to start the desktop.

        Raises NodeFull when none can take it, Unavailable while this one has not joined the farm.
        """
        if self._here() is None:
            raise Unavailable(
                "The database is away: running desktops go on, new ones cannot start yet."
            )
        wish = Wish(memory_mib=order.flavour.memory_mib, driver=order.flavour.driver)
        return self._choice.choose(wish, ran_last=order.vm.owner_node)
