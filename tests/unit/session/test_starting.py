"""A desktop is asked for at one node after another until one takes it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest

from qvdnode.cluster.scheduler import Choice
from qvdnode.model.errors import GuestFailed, NodeBusy, NodeFull, Unavailable
from qvdnode.model.ids import NodeId
from qvdnode.session.core.redirects import REDIRECTS_MAX
from qvdnode.session.hosts import Hosts, Place
from qvdnode.session.starting import ask_a_host
from tests.fakes.orders import desktop_order

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from qvdnode.model.farm import DesktopOrder
    from qvdnode.model.ids import VmId
    from qvdnode.session.ports import DesktopHost


@dataclass
class Farm:
    """Nodes that are chosen in order; those below `first_free` are full."""

    nodes: int
    first_free: int
    runs: bool = False
    """Whether the desktop runs already, on the first one."""
    queues: dict[int, int] = field(default_factory=dict)
    """How many wait at each busy node."""
    waits: list[bool] = field(default_factory=list)
    """Whether each that was asked might let it wait."""
    asked: list[int] = field(default_factory=list)
    noted: list[tuple[int, dict[NodeId, str]]] = field(default_factory=list)

    async def starting(self, order: "DesktopOrder", without: "Collection[NodeId]" = ()) -> Place:
        for number in range(1, self.nodes + 1):
            if number not in without:
                host = cast("DesktopHost", number)
                return Place(host, None if self.runs else Choice(NodeId(number), ()))
        raise NodeFull("The farm is full.")

    async def note(self, vm_id: "VmId", choice: Choice, refused: "Mapping[NodeId, str]") -> None:
        self.noted.append((choice.node_id, dict(refused)))

    async def ask(self, host: "DesktopHost", order: "DesktopOrder") -> int:
        number = cast("int", host)
        self.asked.append(number)
        self.waits.append(order.may_wait)
        if number in self.queues and not order.may_wait:
            raise NodeBusy(f"Node {number} is busy.", waiting=self.queues[number])
        if number < self.first_free:
            raise NodeFull(f"Node {number} is full.")
        return number

    async def run(self) -> int:
        return await ask_a_host(cast("Hosts", self), desktop_order(), self.ask)


async def test_the_chosen_node_takes_it() -> None:
    assert await Farm(nodes=3, first_free=1).run() == 1


async def test_a_full_node_is_passed_over() -> None:
    farm = Farm(nodes=3, first_free=3)
    assert await farm.run() == 3
    assert farm.asked == [1, 2, 3]
    assert farm.noted[0] == (1, {})
    assert farm.noted[-1] == (3, {NodeId(1): "Node 1 is full.", NodeId(2): "Node 2 is full."})


async def test_a_busy_node_is_passed_over() -> None:
    farm = Farm(nodes=3, first_free=1, queues={1: 0})
    assert await farm.run() == 2
    assert farm.waits == [False, False]


async def test_it_waits_at_the_shortest_queue_when_all_are_busy() -> None:
    farm = Farm(nodes=3, first_free=1, queues={1: 7, 2: 3, 3: 5})
    assert await farm.run() == 2
    assert farm.asked == [1, 2, 3, 2]
    assert farm.waits == [False, False, False, True]
    assert farm.noted[-1][0] == 2


async def test_the_only_node_lets_it_wait() -> None:
    farm = Farm(nodes=1, first_free=1, queues={1: 12})
    assert await farm.run() == 1
    assert farm.waits == [False, True]
    assert farm.noted == [(1, {})]


async def test_a_busy_node_is_better_than_full_ones() -> None:
    farm = Farm(nodes=9, first_free=3, queues={3: 40, 4: 50})
    assert await farm.run() == 3
    assert farm.asked == [1, 2, 3, 4, 3]


async def test_a_farm_that_is_full_says_what_the_last_node_said() -> None:
    farm = Farm(nodes=2, first_free=9)
    with pytest.raises(NodeFull, match="Node 2 is full"):
        await farm.run()


async def test_so_many_refusals_are_enough() -> None:
    farm = Farm(nodes=99, first_free=99)
    with pytest.raises(NodeFull):
        await farm.run()
    assert len(farm.asked) == 1 + REDIRECTS_MAX


async def test_the_node_that_runs_it_is_the_only_one_asked() -> None:
    farm = Farm(nodes=2, first_free=9, runs=True)
    with pytest.raises(NodeFull):
        await farm.run()
    assert farm.asked == [1]


@pytest.mark.parametrize(
    "error", [GuestFailed("It died.", step="boot"), Unavailable("It is away.")]
)
async def test_what_else_goes_wrong_asks_nobody_else(error: Exception) -> None:
    """The guest may have been begun there."""
    farm = Farm(nodes=2, first_free=1)

    async def ask(host: "DesktopHost", order: "DesktopOrder") -> int:
        del order
        farm.asked.append(cast("int", host))
        raise error

    with pytest.raises(type(error)):
        await ask_a_host(cast("Hosts", farm), desktop_order(), ask)
    assert farm.asked == [1]
