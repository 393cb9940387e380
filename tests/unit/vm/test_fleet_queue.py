"""More starts than turns: who waits in line, and who leaves it."""

import asyncio

import pytest

from qvdnode.model.errors import Conflict, NodeFull
from qvdnode.model.ids import VmId
from tests.unit.vm.fleet_world import World, settle

VM = VmId(7)


async def test_a_stop_while_it_waits_in_line_takes_it_out(world: World) -> None:
    world.host.held["launch"] = asyncio.Event()
    tasks = [asyncio.get_running_loop().create_task(world.attach(vm)) for vm in range(1, 7)]
    await settle()
    status = await world.fleet.status(VmId(6))
    assert status is not None
    assert status.queue_place == 2
    await world.fleet.stop(VmId(5))
    await settle()
    status = await world.fleet.status(VmId(6))
    assert status is not None
    assert status.queue_place == 1
    world.host.held.pop("launch").set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if isinstance(outcome, BaseException)] == [
        Conflict
    ]


async def test_a_stop_in_the_moment_of_the_start_does_not_wait_in_line(world: World) -> None:
    held = world.host.held["launch"] = asyncio.Event()
    loop = asyncio.get_running_loop()
    others = [loop.create_task(world.attach(vm)) for vm in range(1, 5)]
    await settle()
    waiting, stopping = loop.create_task(world.attach()), loop.create_task(world.fleet.stop(VM))
    await settle()
    assert stopping.done()
    with pytest.raises(Conflict):
        await waiting
    held.set()
    await asyncio.gather(*others)


async def test_who_waits_in_line_hears_the_place(world: World) -> None:
    world.at_once = 1
    world.host.held["launch"] = asyncio.Event()
    tasks = [asyncio.get_running_loop().create_task(world.attach(vm)) for vm in range(1, 7)]
    await settle()
    world.host.held.pop("launch").set()
    clients = await asyncio.gather(*tasks)
    assert "You are number 2 in the queue" in clients[5].told
    assert "You are number 1 in the queue" in clients[5].told


async def test_a_full_queue_is_said(world: World) -> None:
    world.host.held["launch"] = asyncio.Event()
    tasks = [asyncio.get_running_loop().create_task(world.attach(vm)) for vm in range(1, 15)]
    await settle()
    with pytest.raises(NodeFull):
        await world.attach(20)
    world.host.held.pop("launch").set()
    await asyncio.gather(*tasks)
