"""Chooses the node on which a desktop starts that does not run yet, and tells why."""

import logging
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from typing import Protocol

from qvdnode.cluster.core.placement import Load, Ranked, Refused, Wish, image_bit
from qvdnode.cluster.ports import NodeNames
from qvdnode.cluster.scheduler import Choice, Scheduler
from qvdnode.model.errors import FarmError, Unavailable
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import NodeId, VmId

log = logging.getLogger(__name__)


class PlacementNotes(Protocol):
    """Keeps why each VM was last given its node."""

    async def keep(
        self, vm_id: VmId, node_id: NodeId, chosen_by: NodeId, reasons: Sequence[str]
    ) -> None:
        """Replace what is known of the VM's last placement; raises Unavailable."""
        ...


async def _heard_all() -> bool:
    """A farm whose nodes have all told their load."""
    return False


class LocalPlacement:
    """Placement as this node sees it: it must have joined the farm."""

    def __init__(
        self,
        choice: Scheduler,
        here: Callable[[], NodeId | None],
        notes: PlacementNotes,
        names: NodeNames,
        hears_more: Callable[[], Awaitable[bool]] = _heard_all,
    ) -> None:
        """`hears_more` waits for the load of nodes that have not told it yet; false: for none."""
        self._choice = choice
        self._here = here
        self._notes = notes
        self._names = names
        self.hears_more = hears_more
        """Whether to choose again: a node that has just come does not know the others yet."""

    def choose(self, order: DesktopOrder, without: Container[NodeId] = ()) -> Choice:
        """The node that is to start the desktop, not one of `without`, which have refused it.

        Raises NodeFull when none can take it, Unavailable while the node with the user's home is
        away, or this one has not joined the farm.
        """
        if self._here() is None:
            raise Unavailable(
                "The database is away: running desktops go on, new ones cannot start yet."
            )
        return self._choice.choose(self._wish(order), ran_last=order.vm.owner_node, without=without)

    def verdicts(self, order: DesktopOrder) -> Sequence[tuple[Load, Ranked | Refused]]:
        """What a choice made now would go by, for each node whose load is known."""
        return self._choice.verdicts(self._wish(order), ran_last=order.vm.owner_node)

    async def note(
        self, vm_id: VmId, choice: Choice, refused: Mapping[NodeId, str] | None = None
    ) -> None:
        """Keep the reasons of a choice, and what nodes that were asked before have said.

        A start goes on without, if the database has no room for them.
        """
        here = self._here()
        if here is None:
            return
        asked = [
            f"{self._names.name(node_id)} was asked before, and refused: {because}"
            for node_id, because in (refused or {}).items()
        ]
        try:
            await self._notes.keep(vm_id, choice.node_id, here, [*choice.reasons, *asked])
        except FarmError as error:
            log.warning("placement_not_kept", extra={"vm": vm_id, "because": str(error)})

    def _wish(self, order: DesktopOrder) -> Wish:
        flavour, home = order.flavour, order.user.home_node
        return Wish(
            memory_mib=flavour.memory_mib,
            driver=flavour.driver,
            image_bit=image_bit(flavour.image_id, order.image_version),
            home_node=home,
            home_at=frozenset() if home is None else self._names.with_homes_of(home),
        )
