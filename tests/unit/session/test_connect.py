"""What a session is given at its beginning, and desktops that have moved to another node."""

import re

import pytest

from qvdnode.model.errors import Conflict
from qvdnode.model.ids import NodeId, VmId
from qvdnode.session.connect import new_slave_key
from tests.fakes.orders import desktop_order
from tests.unit.session.test_desktops import LINKED, World


def test_it_is_what_clients_expect() -> None:
    assert re.fullmatch(r"[A-Za-z0-9]{64}", new_slave_key())


def test_no_two_are_alike() -> None:
    assert len({new_slave_key() for _ in range(100)}) == 100


async def test_a_desktop_of_a_lost_node_is_placed_anew() -> None:
    world = World(desktop_order(7, owner=LINKED))
    world.taken_over[VmId(7)] = desktop_order(7)
    await world.connect()
    assert (world.places.asked, world.linked.attached) == ([7], [])


@pytest.mark.parametrize("owner", [None, LINKED])
async def test_a_desktop_that_has_moved_is_looked_for_once_more(owner: NodeId | None) -> None:
    world = World(desktop_order(7, owner=owner))
    asked, other = (world.guests, world.linked) if owner is None else (world.linked, world.guests)
    asked.conflict = "VM 7 runs on another node."
    moved = desktop_order(7, owner=NodeId(1) if owner else LINKED)
    asked.on_attach = lambda: world.rows.orders.update({VmId(7): moved})
    await world.connect()
    assert other.attached == [7]


async def test_a_desktop_is_not_looked_for_twice() -> None:
    world = World(desktop_order(7))
    moved = desktop_order(7, owner=LINKED)
    world.guests.conflict = world.linked.conflict = "VM 7 runs on another node."
    world.guests.on_attach = lambda: world.rows.orders.update({VmId(7): moved})
    with pytest.raises(Conflict, match="another node"):
        await world.connect()
    assert world.rows.asked == 2
    assert world.viewers._clients == {}


async def test_a_client_that_lost_its_place_does_not_take_it_back() -> None:
    world = World(desktop_order(7))
    world.guests.conflict = "A newer connection to this desktop took the place of this one."
    here_now = desktop_order(7, owner=NodeId(1))
    world.guests.on_attach = lambda: world.rows.orders.update({VmId(7): here_now})
    with pytest.raises(Conflict, match="newer connection"):
        await world.connect()
    assert world.guests.attached == []


async def test_a_conflict_stays_one_while_the_database_is_away() -> None:
    world = World(desktop_order(7))
    world.guests.conflict = "VM 7 runs on another node."
    world.guests.on_attach = lambda: setattr(world.rows, "away", True)
    with pytest.raises(Conflict):
        await world.connect()
