"""Finds the host of a desktop: this node, or another one that this node has a link to."""

from collections.abc import Callable, Mapping
from typing import assert_never

from qvdnode.db.nodes import Nodes
from qvdnode.db.ownership import runs_elsewhere
from qvdnode.model.errors import Conflict, Unavailable
from qvdnode.model.farm import DesktopOrder, Vm
from qvdnode.model.ids import NodeId, VmId
from qvdnode.model.seat import Seat
from qvdnode.session.core.routing import Here, Route, There, Unlinked, Unplaced, route, to_node
from qvdnode.session.place import LocalPlacement
from qvdnode.session.ports import DesktopHost
from qvdnode.vm.status import GuestStatus


class Hosts:
    """The table of hosts, and the way to each desktop's."""

    def __init__(
        self,
        local: DesktopHost,
        here: Callable[[], NodeId | None],
        others: Mapping[NodeId, DesktopHost],
        starts: LocalPlacement,
        nodes: Nodes,
    ) -> None:
        self.local = local
        """This node."""
        self._here = here
        self._others = others
        self._starts = starts
        self._nodes = nodes

    async def running(self, vm_id: VmId, owner: NodeId | None) -> DesktopHost:
        """The host that runs the VM; `owner` is the one in its row.

        This node, which then knows nothing of the VM, if none does or if it has no link there.
        """
        way = await self._route(vm_id, owner)
        return self._others[way.node_id] if isinstance(way, There) else self.local

    async def starting(self, order: DesktopOrder) -> DesktopHost:
        """The host that runs the VM, or is to start it.

        Raises NodeFull when no node can take it, Conflict or Unavailable when it runs or is to
        start on a node that this one has no link to, and Unavailable while this node has not
        joined the farm.
        """
        way = await self._route(order.vm.id, order.vm.owner_node)
        match way:
            case Here():
                return self.local
            case There():
                return self._others[way.node_id]
            case Unlinked():
                raise await self._refusal(order.vm.id, way.node_id)
            case Unplaced():
                return self._chosen(order)
            case _:
                assert_never(way)

    def of_seat(self, seat: Seat) -> DesktopHost:
        """The host that gave that seat."""
        if seat.node_id is None:
            return self.local
        return self._others.get(seat.node_id, self.local)

    async def status(self, vm: Vm) -> GuestStatus | None:
        """Status of the VM by the host that runs it, or None."""
        return await (await self.running(vm.id, vm.owner_node)).status(vm.id)

    async def _route(self, vm_id: VmId, owner: NodeId | None) -> Route:
        runs_here = await self.local.status(vm_id) is not None
        return route(owner, self._here(), self._others, runs_here=runs_here)

    def _chosen(self, order: DesktopOrder) -> DesktopHost:
        way = to_node(self._starts.choose(order), self._here(), self._others)
        match way:
            case Here():
                return self.local
            case There():
                return self._others[way.node_id]
            case Unlinked():
                raise Unavailable(
                    f"This desktop starts on node {way.node_id}; connect to that node."
                )
            case _:
                assert_never(way)

    async def _refusal(self, vm_id: VmId, owner: NodeId) -> Conflict | Unavailable:
        node = await self._nodes.get(owner)
        return runs_elsewhere(vm_id, node.name, alive=node.alive)
