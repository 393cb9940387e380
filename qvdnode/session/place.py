"""Chooses the node on which a desktop starts that does not run yet."""

from collections.abc import Callable, Container

from qvdnode.cluster.core.placement import Wish, image_bit
from qvdnode.cluster.scheduler import Scheduler
from qvdnode.model.errors import Unavailable
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import NodeId


class LocalPlacement:
    """Placement as this node sees it: it must have joined the farm."""

    def __init__(self, choice: Scheduler, here: Callable[[], NodeId | None]) -> None:
        self._choice = choice
        self._here = here

    def choose(self, order: DesktopOrder, without: Container[NodeId] = ()) -> NodeId:
        """The node that is to start the desktop, not one of `without`, which have refused it.

        Raises NodeFull when none can take it, Unavailable while the node with the user's home is
        away, or this one has not joined the farm.
        """
        if self._here() is None:
            raise Unavailable(
                "The database is away: running desktops go on, new ones cannot start yet."
            )
        flavour = order.flavour
        wish = Wish(
            memory_mib=flavour.memory_mib,
            driver=flavour.driver,
            image_bit=image_bit(flavour.image_id, order.image_version),
            home_node=order.user.home_node,
        )
        return self._choice.choose(wish, ran_last=order.vm.owner_node, without=without)
