"""Starts of desktops whose image comes from another node."""

import asyncio

import pytest

from qvdnode.model.errors import BadImage, Conflict, NodeFull
from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import VmState
from tests.unit.vm.fleet_world import World, settle

SENTENCE = "Fetching the image icewm from another node: 5 of 9 MiB"


async def test_who_waits_is_told_how_far_the_image_is(world: World) -> None:
    world.images.arrived.clear()
    world.images.told = [SENTENCE]
    attaching = asyncio.create_task(world.attach())
    await settle()
    (client,) = world.clients.values()
    assert SENTENCE in client.told
    world.images.arrived.set()
    assert (await attaching).seat.vm_id == VmId(7)


async def test_a_fetch_takes_no_start_slot(world: World) -> None:
    before = world.fleet.load().starts_free
    world.images.arrived.clear()
    attaching = asyncio.create_task(world.attach())
    await settle()
    assert world.images.waiting == 1
    assert world.fleet.load().starts_free == before
    world.images.arrived.set()
    await attaching


async def test_a_stop_ends_the_wait(world: World) -> None:
    world.images.arrived.clear()
    attaching = asyncio.create_task(world.attach())
    await settle()
    await world.fleet.stop(VmId(7))
    with pytest.raises(Conflict):
        await attaching
    assert world.images.waiting == 0
    assert world.state() is VmState.STOPPED
    assert world.leaks() == []


async def test_a_start_without_the_image_fails_with_the_reason(world: World) -> None:
    world.images.refusal = BadImage("no node has it")
    with pytest.raises(BadImage, match="no node has it"):
        await world.attach()
    await settle()
    assert world.leaks() == []


async def test_a_full_node_says_so_before_it_fetches(world: World) -> None:
    world.images.arrived.clear()
    world.admission.limit_mib = 0
    with pytest.raises(NodeFull):
        await world.attach()
    assert world.images.waiting == 0
