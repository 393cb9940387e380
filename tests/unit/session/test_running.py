"""Finds desktops that run without the database."""

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from qvdnode.model.errors import Unavailable
from qvdnode.model.ids import NodeId, TenantId, UserId, VmId
from qvdnode.model.principal import Principal
from qvdnode.model.vm_state import VmState
from qvdnode.session.hosts import Hosts
from qvdnode.session.running import RunningDesktops
from qvdnode.vm.status import GuestStatus
from tests.fakes.desktop_map import MapOfDesktops
from tests.fakes.fleet import FakeFleet
from tests.fakes.orders import desktop_order

if TYPE_CHECKING:
    from qvdnode.db.nodes import Nodes
    from qvdnode.session.place import LocalPlacement
    from qvdnode.session.ports import DesktopHost

ALICE = Principal(UserId(5), TenantId(1), "alice", "default")
HERE, THERE = NodeId(1), NodeId(2)


class Silent(FakeFleet):
    """A node that does not answer."""

    async def status(self, vm_id: VmId) -> GuestStatus | None:
        raise Unavailable("Node 2 cannot be reached now.")


class World:
    """This node and one more."""

    def __init__(self, other: FakeFleet | None = None) -> None:
        self.local, self.other = FakeFleet(), other or FakeFleet()
        self.map = MapOfDesktops()
        hosts = Hosts(
            cast("DesktopHost", self.local),
            lambda: HERE,
            {THERE: cast("DesktopHost", self.other)},
            cast("LocalPlacement", None),
            cast("Nodes", None),
        )
        self.running = RunningDesktops(hosts, self.map)

    def there(self, vm_id: int, user_id: int = 5, *, runs: bool = True) -> None:
        """The other node has told that it runs that VM."""
        order = desktop_order(vm_id, user_id=user_id)
        self.map.places[VmId(vm_id)] = (UserId(user_id), order.vm.tenant_id, THERE)
        if runs:
            self.other.put(order, VmState.RUNNING)

    async def ids(self) -> list[int]:
        return sorted(status.order.vm.id for status in await self.running.of(ALICE))


async def test_a_users_desktops_are_found_here_and_there_and_nobody_elses() -> None:
    world = World()
    world.local.put(desktop_order(7, user_id=5), VmState.RUNNING)
    world.local.put(desktop_order(8, user_id=6), VmState.RUNNING)
    world.there(9)
    world.there(10, user_id=6)
    assert await world.ids() == [7, 9]


async def test_what_runs_here_is_not_asked_for_elsewhere() -> None:
    world = World(Silent())
    world.local.put(desktop_order(7, user_id=5), VmState.RUNNING)
    world.there(7)
    assert await world.ids() == [7]
    assert await world.running.order(VmId(7)) == desktop_order(7, user_id=5)


async def test_an_order_of_another_node_names_that_node() -> None:
    world = World()
    world.there(9)
    order = desktop_order(9, user_id=5)
    assert await world.running.order(VmId(9)) == replace(
        order, vm=replace(order.vm, owner_node=THERE)
    )


async def test_what_has_ended_meanwhile_is_not_found() -> None:
    world = World()
    world.there(9, runs=False)
    assert await world.ids() == []
    assert await world.running.order(VmId(9)) is None
    assert await world.running.order(VmId(99)) is None


async def test_a_node_that_does_not_answer_is_left_out_of_the_list_and_named_to_who_connects() -> (
    None
):
    world = World(Silent())
    world.there(9)
    assert await world.ids() == []
    with pytest.raises(Unavailable, match="Node 2"):
        await world.running.order(VmId(9))
