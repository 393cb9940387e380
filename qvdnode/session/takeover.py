"""Starts desktops of a node that was lost on another one, as their flavour says."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from qvdnode.cluster.ports import NodeNames
from qvdnode.model.errors import FarmError, Unavailable
from qvdnode.model.farm import DesktopOrder, Takeover
from qvdnode.model.ids import NodeId, VmId
from qvdnode.model.plurals import counted
from qvdnode.model.seat import Progress
from qvdnode.runtime.clock import Clock
from qvdnode.session.hosts import Hosts
from qvdnode.session.starting import ask_a_host

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 5.0
TELL_EVERY_S: Final = 2.0


class LostNodes(Protocol):
    """What db.takeovers.Takeovers does."""

    async def give_up(self, node_id: NodeId) -> float:
        """Give up a node if the time has come; returns the seconds until then."""
        ...

    async def take(self, vm_id: VmId, lost: NodeId) -> bool:
        """Take the VM from a node that was given up."""
        ...

    async def lost(self) -> Sequence[tuple[VmId, NodeId]]:
        """VMs that are to be taken at once."""
        ...


class Rescue:
    """Takes desktops over, when their user connects or at once."""

    def __init__(
        self,
        lost_nodes: LostNodes,
        names: NodeNames,
        alive: Callable[[NodeId], Awaitable[bool]],
        order_of: Callable[[VmId], Awaitable[DesktopOrder]],
        clock: Clock,
    ) -> None:
        """`alive` tells whether a node is this one, or its lease runs.

        `order_of` reads a VM's order anew; raises NotFound, Unavailable.
        """
        self._lost_nodes = lost_nodes
        self._names = names
        self._alive = alive
        self._order_of = order_of
        self._clock = clock

    async def settled(self, order: DesktopOrder, progress: Progress | None = None) -> DesktopOrder:
        """The order as it is, or as it is after a takeover, which may have to be waited for.

        While the database is away nobody may take anything: then the order stays as it is.

        Raises Unavailable, NotFound.
        """
        owner = order.vm.owner_node
        if owner is None or order.flavour.takeover is Takeover.NEVER:
            return order
        if self._names.with_homes_of(owner) == {owner}:
            return order
        while not await self._may_live(owner):
            wait_s = await self._lost_nodes.give_up(owner)
            if wait_s <= 0:
                return await self._taken(order, owner)
            if progress is not None:
                progress(
                    f"Your desktop's node {self._names.name(owner)} does not answer. It starts on"
                    f" another one in {counted(round(wait_s), 'second')}."
                )
            await self._clock.sleep(min(wait_s, TELL_EVERY_S))
        return order

    async def _may_live(self, owner: NodeId) -> bool:
        try:
            return await self._alive(owner)
        except Unavailable:
            return True

    async def run(self, hosts: Hosts) -> None:
        """Start what is to be started at once, until cancelled."""
        while True:
            await self._clock.sleep(LOOK_EVERY_S)
            try:
                lost = await self._lost_nodes.lost()
            except FarmError:
                continue  # the database is away: nobody may take anything
            for vm_id, node_id in lost:
                await self._rescue(hosts, vm_id, node_id)

    async def _rescue(self, hosts: Hosts, vm_id: VmId, node_id: NodeId) -> None:
        try:
            if await self._lost_nodes.give_up(node_id) > 0:
                return
            if not await self._lost_nodes.take(vm_id, node_id):
                return  # another node was faster
            order = await self._order_of(vm_id)
            log.warning("desktop_taken_over", extra={"vm": vm_id, "from_node": node_id})
            await ask_a_host(hosts, order, lambda host, asked: host.start(asked))
        except FarmError as error:
            log.warning("desktop_not_taken_over", extra={"vm": vm_id, "because": str(error)})

    async def _taken(self, order: DesktopOrder, owner: NodeId) -> DesktopOrder:
        if await self._lost_nodes.take(order.vm.id, owner):
            log.warning("desktop_taken_over", extra={"vm": order.vm.id, "from_node": owner})
        return await self._order_of(order.vm.id)
