"""Finds the host of a desktop: this node, or another one that this node has a link to."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from qvdnode.cluster.scheduler import Choice
from qvdnode.db.nodes import Nodes
from qvdnode.db.ownership import runs_elsewhere
from qvdnode.model.errors import Conflict, FarmError, NodeFull, Unavailable
from qvdnode.model.farm import DesktopOrder, Vm
from qvdnode.model.ids import NodeId, VmId
from qvdnode.model.seat import Seat
from qvdnode.session.core.routing import Here, Route, There, Unlinked, Unplaced, route, to_node
from qvdnode.session.place import LocalPlacement
from qvdnode.session.ports import DesktopHost
from qvdnode.vm.status import GuestStatus


@dataclass(frozen=True, slots=True)
class Statuses:
    """What the hosts of VMs know of them."""

    known: Mapping[VmId, GuestStatus]
    problems: Mapping[NodeId, str]
    """Why nodes could not be asked, for a person."""


@dataclass(frozen=True, slots=True)
class Place:
    """The host of a desktop."""

    host: DesktopHost
    chosen: Choice | None = None
    """What placement chose for a start; None for the node that runs the desktop."""


async def _nobody_new() -> None:
    """A farm whose nodes are all known."""


class Hosts:
    """The table of hosts, and the way to each desktop's."""

    def __init__(
        self,
        local: DesktopHost,
        here: Callable[[], NodeId | None],
        others: Mapping[NodeId, DesktopHost],
        starts: LocalPlacement,
        nodes: Nodes,
        look: Callable[[], Awaitable[None]] = _nobody_new,
    ) -> None:
        """`look` reads which nodes there are: one that has just joined may not be known yet."""
        self.local = local
        """This node."""
        self._here = here
        self._others = others
        self._starts = starts
        self._nodes = nodes
        self._look = look

    async def running(self, vm_id: VmId, owner: NodeId | None) -> DesktopHost:
        """The host that runs the VM; `owner` is the one in its row.

        This node, which then knows nothing of the VM, if none does. Raises Conflict or Unavailable
        when it runs on a node that this one has no link to.
        """
        way = await self._route(vm_id, owner)
        if isinstance(way, Unlinked):
            raise await self._refusal(vm_id, way.node_id)
        return self._others[way.node_id] if isinstance(way, There) else self.local

    async def starting(self, order: DesktopOrder, without: Collection[NodeId] = ()) -> Place:
        """The host that runs the VM, or is to start it, then not one of `without`.

        Raises NodeFull when no node can take it, Conflict or Unavailable when it runs on a node
        that this one has no link to, and Unavailable while the node with its user's home is away
        or this one has not joined the farm.
        """
        way = await self._route(order.vm.id, order.vm.owner_node)
        match way:
            case Here():
                return Place(self.local)
            case There():
                return Place(self._others[way.node_id])
            case Unlinked():
                raise await self._refusal(order.vm.id, way.node_id)
            case Unplaced():
                return await self._chosen(order, without)
            case _:
                assert_never(way)

    async def note(self, vm_id: VmId, choice: Choice, refused: Mapping[NodeId, str]) -> None:
        """Keep why a desktop starts where it was placed; `refused` are those asked before."""
        await self._starts.note(vm_id, choice, refused)

    def of_seat(self, seat: Seat) -> DesktopHost:
        """The host that gave that seat."""
        if seat.node_id is None:
            return self.local
        return self._others.get(seat.node_id, self.local)

    async def status(self, vm: Vm) -> GuestStatus | None:
        """Status of the VM by the host that runs it, or None; raises as `running`."""
        return await (await self.running(vm.id, vm.owner_node)).status(vm.id)

    async def statuses(self, vms: Sequence[Vm]) -> Statuses:
        """What their hosts know of these VMs; each host is asked once, all at the same time."""
        here = {status.order.vm.id: status for status in await self.local.statuses()}
        others = {vm.owner_node for vm in vms if vm.id not in here} - {None, self._here()}
        asked = [node_id for node_id in others if node_id is not None]
        if any(node_id not in self._others for node_id in asked):
            await self._look()
        answers = await asyncio.gather(*(self._ask(node_id) for node_id in asked))
        known, problems = dict(here), {}
        for node_id, answer in zip(asked, answers, strict=True):
            if isinstance(answer, str):
                problems[node_id] = answer
            else:
                known |= {status.order.vm.id: status for status in answer}
        return Statuses(known, problems)

    async def _ask(self, node_id: NodeId) -> Sequence[GuestStatus] | str:
        """What a node knows of its VMs, or why it cannot be asked."""
        host = self._others.get(node_id)
        if host is None:
            return "Its node cannot be reached; this is what the database knows."
        try:
            return await host.statuses()
        except FarmError as error:
            return f"{error} This is what the database knows."

    async def _route(self, vm_id: VmId, owner: NodeId | None) -> Route:
        runs_here = await self.local.status(vm_id) is not None
        way = route(owner, self._here(), self._others, runs_here=runs_here)
        if isinstance(way, Unlinked):
            await self._look()
            way = route(owner, self._here(), self._others, runs_here=runs_here)
        return way

    async def _chosen(self, order: DesktopOrder, without: Collection[NodeId]) -> Place:
        refused = set(without)
        while True:
            try:
                choice = self._starts.choose(order, refused)
            except (NodeFull, Unavailable):
                if not await self._starts.hears_more():
                    raise
                continue
            way = to_node(choice.node_id, self._here(), self._others)
            match way:
                case Here():
                    return Place(self.local, choice)
                case There():
                    return Place(self._others[way.node_id], choice)
                case Unlinked():  # known by its load, and not by its row yet
                    refused.add(way.node_id)
                case _:
                    assert_never(way)

    async def _refusal(self, vm_id: VmId, owner: NodeId) -> Conflict | Unavailable:
        node = await self._nodes.get(owner)
        return runs_elsewhere(vm_id, node.name, alive=node.alive)
