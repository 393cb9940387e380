"""Desktops of a node that was lost."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from qvdnode.model.errors import Unavailable
from qvdnode.model.farm import DesktopOrder, Takeover
from qvdnode.model.ids import NodeId, VmId
from qvdnode.session.takeover import LOOK_EVERY_S, TELL_EVERY_S, Rescue
from tests.fakes.clock import ManualClock
from tests.fakes.node_names import NAMES
from tests.fakes.orders import FLAVOUR, desktop_order

if TYPE_CHECKING:
    from qvdnode.session.hosts import Hosts

ALONE, LOST = NodeId(3), NodeId(7)
"""Node 7 shares its homes with node 8 (tests.fakes.node_names)."""


class Farm:
    """The rows: satisfies session.takeover.LostNodes."""

    def __init__(self, takeover: Takeover = Takeover.AT_CONNECT, owner: NodeId = LOST) -> None:
        flavour = replace(FLAVOUR, takeover=takeover)
        self.order = desktop_order(7, flavour=flavour, owner=owner)
        self.alive = False
        self.away = False
        self.left_s = 0.0
        self.takes = True
        self.taken: list[VmId] = []
        self.clock = ManualClock()
        self.rescue = Rescue(self, NAMES, self.lives, self.order_of, self.clock)

    async def lives(self, node_id: NodeId) -> bool:
        return self.alive

    async def order_of(self, vm_id: VmId) -> DesktopOrder:
        return desktop_order(7, flavour=self.order.flavour, owner=None if self.taken else LOST)

    async def give_up(self, node_id: NodeId) -> float:
        if self.away:
            raise Unavailable("The database is away.")
        return self.left_s

    async def take(self, vm_id: VmId, lost: NodeId) -> bool:
        if self.takes:
            self.taken.append(vm_id)
        return self.takes

    async def lost(self) -> Sequence[tuple[VmId, NodeId]]:
        if self.away:
            raise Unavailable("The database is away.")
        return [] if self.taken else [(VmId(7), LOST)]


@pytest.mark.parametrize(
    "farm",
    [Farm(Takeover.NEVER), Farm(owner=ALONE)],
    ids=["its flavour says never", "nobody else has the home"],
)
async def test_a_desktop_stays_where_it_is(farm: Farm) -> None:
    assert await farm.rescue.settled(farm.order) == farm.order
    assert farm.taken == []


async def test_a_node_that_lives_keeps_its_desktops() -> None:
    farm = Farm()
    farm.alive = True
    assert await farm.rescue.settled(farm.order) == farm.order
    nobodys = desktop_order(7, flavour=farm.order.flavour)
    assert await farm.rescue.settled(nobodys) == nobodys
    assert farm.taken == []


async def test_a_desktop_is_taken_once_its_node_was_given_up() -> None:
    farm = Farm()
    farm.left_s = 12.0
    said: list[str] = []
    task = asyncio.create_task(farm.rescue.settled(farm.order, said.append))
    for _ in range(10):
        await asyncio.sleep(0)
    assert said == [
        "Your desktop's node desk7 does not answer. It starts on another one in 12 seconds."
    ]
    assert farm.taken == []
    farm.left_s = 0.0
    farm.clock.advance(TELL_EVERY_S)
    assert (await task).vm.owner_node is None
    assert farm.taken == [7]


async def test_a_node_that_comes_back_while_one_waits_keeps_it() -> None:
    farm = Farm()
    farm.left_s = 1.0
    task = asyncio.create_task(farm.rescue.settled(farm.order))
    await asyncio.sleep(0)
    farm.alive = True
    farm.clock.advance(TELL_EVERY_S)
    assert await task == farm.order
    assert farm.taken == []


async def test_what_another_node_took_meanwhile_is_read_anew() -> None:
    farm = Farm()
    farm.takes = False
    assert (await farm.rescue.settled(farm.order)).vm.owner_node == LOST


class NobodyHosts:
    """Satisfies what session.starting asks of Hosts: no node can take it."""

    def __init__(self) -> None:
        self.asked: list[VmId] = []

    async def starting(self, order: DesktopOrder, without: object = ()) -> None:
        self.asked.append(order.vm.id)
        raise Unavailable("No node is up.")


async def test_what_is_to_start_at_once_is_started_without_its_user(
    caplog: pytest.LogCaptureFixture,
) -> None:
    farm, hosts = Farm(Takeover.AT_ONCE), NobodyHosts()
    task = asyncio.create_task(farm.rescue.run(cast("Hosts", hosts)))

    async def look() -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        farm.clock.advance(LOOK_EVERY_S)
        for _ in range(20):
            await asyncio.sleep(0)

    farm.away = True
    await look()
    assert farm.taken == []
    farm.away, farm.left_s = False, 3.0
    await look()
    assert farm.taken == []
    farm.left_s, farm.takes = 0.0, False
    await look()
    assert hosts.asked == []
    farm.takes = True
    await look()
    assert (farm.taken, hosts.asked) == ([7], [7])
    assert "desktop_not_taken_over" in caplog.text
    task.cancel()


async def test_nothing_is_taken_while_the_database_is_away() -> None:
    """The desktop may run, and its node is asked."""
    farm = Farm()

    async def away(node_id: NodeId) -> bool:
        raise Unavailable("The database is away.")

    farm.rescue = Rescue(farm, NAMES, away, farm.order_of, farm.clock)
    assert await farm.rescue.settled(farm.order) == farm.order
    assert farm.taken == []
