"""The way to the host of a desktop, in a farm of one node and of several."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pytest

from qvdnode.cluster.scheduler import Choice
from qvdnode.model.errors import Conflict, NodeFull, Unavailable
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import Generation, NodeId, VmId
from qvdnode.model.seat import DisplayAddress, Seat
from qvdnode.model.vm_state import VmState
from qvdnode.session.hosts import Hosts, Place
from tests.fakes.fleet import FakeFleet
from tests.fakes.orders import desktop_order

if TYPE_CHECKING:
    from qvdnode.db.nodes import Nodes
    from qvdnode.session.place import LocalPlacement

HERE, LINKED, AWAY = NodeId(1), NodeId(2), NodeId(3)


@dataclass
class Row:
    """As much of db.nodes.Node as a refusal tells."""

    name: str
    alive: bool


class World:
    """This node, one that it has a link to, and one that it has none to."""

    def __init__(self) -> None:
        self.here, self.linked = FakeFleet(), FakeFleet()
        self.node_id: NodeId | None = HERE
        self.chosen = HERE
        self.full = False
        self.alive = True
        self.asked = 0
        self.links = {LINKED: self.linked}
        self.joined: dict[NodeId, FakeFleet] = {}
        self.silent = 0
        """How many moments pass until the other nodes have told their load."""
        self.hosts = Hosts(
            self.here,
            lambda: self.node_id,
            self.links,
            cast("LocalPlacement", self),
            cast("Nodes", self),
            self.look,
        )

    async def look(self) -> None:
        self.links |= self.joined

    def choose(self, order: DesktopOrder, without: Collection[NodeId] = ()) -> Choice:
        self.asked += 1
        if self.full or self.chosen in without:
            raise NodeFull("This node is full.")
        return Choice(self.chosen, ())

    async def hears_more(self) -> bool:
        if not self.silent:
            return False
        self.silent -= 1
        self.full = self.silent > 0
        return True

    async def get(self, node_id: NodeId) -> Row:
        return Row(f"node{node_id}", self.alive)


async def test_what_nobody_runs_is_placed() -> None:
    world = World()
    assert await world.hosts.starting(desktop_order()) == Place(world.here, Choice(HERE, ()))
    world.chosen = LINKED
    assert await world.hosts.starting(desktop_order()) == Place(world.linked, Choice(LINKED, ()))
    world.full = True
    with pytest.raises(NodeFull):
        await world.hosts.starting(desktop_order())


async def test_a_node_that_has_just_come_waits_for_the_others_before_it_refuses() -> None:
    world = World()
    world.full, world.silent = True, 3
    assert await world.hosts.starting(desktop_order()) == Place(world.here, Choice(HERE, ()))
    assert world.asked == 4


async def test_a_node_without_a_link_is_not_chosen() -> None:
    """Its load may be known before its row."""
    world = World()
    world.chosen = AWAY
    with pytest.raises(NodeFull):
        await world.hosts.starting(desktop_order())
    assert world.asked == 2


async def test_what_runs_needs_no_place() -> None:
    world = World()
    world.here.put(desktop_order(7), VmState.RUNNING)
    assert await world.hosts.starting(desktop_order(7)) == Place(world.here)
    assert await world.hosts.starting(desktop_order(8, owner=LINKED)) == Place(world.linked)
    assert world.asked == 0


async def test_what_an_unlinked_node_runs_is_refused_as_its_claim_would_be() -> None:
    world = World()
    with pytest.raises(Conflict, match="VM 7 runs on node node3"):
        await world.hosts.starting(desktop_order(7, owner=AWAY))
    world.alive = False
    with pytest.raises(Unavailable, match="VM 7 ran on node node3, which is away"):
        await world.hosts.starting(desktop_order(7, owner=AWAY))


async def test_what_runs_is_asked_where_it_runs() -> None:
    world = World()
    assert await world.hosts.running(VmId(7), LINKED) is world.linked
    assert await world.hosts.running(VmId(7), None) is world.here
    world.linked.put(desktop_order(7), VmState.RUNNING)
    status = await world.hosts.status(desktop_order(7, owner=LINKED).vm)
    assert status is not None
    assert status.state is VmState.RUNNING
    assert await world.hosts.status(desktop_order(8, owner=LINKED).vm) is None


async def test_what_runs_out_of_reach_is_not_asked_here() -> None:
    """A node that knows nothing of it would say that it is stopped."""
    world = World()
    with pytest.raises(Conflict, match="VM 7 runs on node node3"):
        await world.hosts.running(VmId(7), AWAY)
    world.here.put(desktop_order(7), VmState.RUNNING)
    assert await world.hosts.running(VmId(7), AWAY) is world.here


async def test_a_node_that_has_just_joined_is_found() -> None:
    """Its row is there before this node has read it."""
    world = World()
    world.joined[AWAY] = FakeFleet()
    world.joined[AWAY].put(desktop_order(7), VmState.RUNNING)
    assert await world.hosts.running(VmId(7), AWAY) is world.joined[AWAY]
    del world.links[AWAY]
    told = await world.hosts.statuses([desktop_order(7, owner=AWAY).vm])
    assert list(told.known) == [7]


async def test_each_host_tells_of_its_vms_and_the_rest_is_explained() -> None:
    world = World()
    vms = [desktop_order(number, owner=owner).vm for number, owner in
           ((7, LINKED), (8, LINKED), (9, None), (10, AWAY), (11, HERE))]  # fmt: skip
    world.linked.put(desktop_order(7), VmState.RUNNING)
    world.here.put(desktop_order(11), VmState.BOOTING)
    told = await world.hosts.statuses(vms)
    assert {vm_id: status.state for vm_id, status in told.known.items()} == {
        7: VmState.RUNNING,
        11: VmState.BOOTING,
    }
    assert list(told.problems) == [AWAY]
    assert "cannot be reached" in told.problems[AWAY]


async def test_a_host_that_fails_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()

    async def away() -> None:
        raise Unavailable("Node 2 cannot be reached: No route to host.")

    monkeypatch.setattr(world.linked, "statuses", away)
    world.here.put(desktop_order(11), VmState.RUNNING)
    vms = [desktop_order(7, owner=LINKED).vm, desktop_order(11, owner=HERE).vm]
    told = await world.hosts.statuses(vms)
    assert list(told.known) == [11]
    assert told.problems[LINKED].startswith("Node 2 cannot be reached: No route to host.")


@pytest.mark.parametrize(("node_id", "is_linked"), [(None, False), (HERE, False), (LINKED, True)])
def test_a_seat_goes_back_to_its_host(node_id: NodeId | None, is_linked: bool) -> None:
    world = World()
    seat = Seat(node_id, VmId(7), Generation(1), DisplayAddress("10.0.0.1", 4100), ticket=1)
    assert world.hosts.of_seat(seat) is (world.linked if is_linked else world.here)
