"""Suspended displays take turns to be resumed, so that each is drawn without a pause."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import Conflict, TimedOut
from qvdnode.model.guest import GuestSpec
from qvdnode.model.vm_state import DisplayState
from qvdnode.wire import session_params
from tests.fakes.memory_driver import MemoryDriver
from tests.fakes.orders import desktop_order
from tests.unit.vm.fleet_world import Client, World, settle


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Two suspended desktops on a node that draws one at a time."""
    world = World(tmp_path, redraws_at_once=1)
    world.farm.add(7, 8)
    async with world.node():
        for vm_id in (7, 8):
            world.hang_up(await world.connected(vm_id))
        await settle()
        yield world


def attaching(world: World, vm_id: int) -> "asyncio.Task[Client]":
    return asyncio.get_running_loop().create_task(world.attach(vm_id))


async def test_the_next_display_is_resumed_once_the_first_is_drawn(world: World) -> None:
    first = await world.attach(7)
    waiting = attaching(world, 8)
    await settle()
    assert not waiting.done()
    assert world.display(8) is DisplayState.SUSPENDED
    assert world.dial(first)
    assert world.dial(await waiting)


async def test_a_client_that_does_not_come_keeps_nobody_waiting_long(world: World) -> None:
    await world.attach(7)
    waiting = attaching(world, 8)
    await world.passes(0.9)
    assert not waiting.done()
    await world.passes(0.2)
    await waiting


async def test_a_display_that_ends_gives_its_turn_back(world: World) -> None:
    await world.attach(7)
    waiting = attaching(world, 8)
    await settle()
    world.host.display(7).take(9)
    await world.passes(0.2)
    await waiting


async def test_a_display_that_ends_while_it_waits_leaves_the_queue(world: World) -> None:
    slots = world.fleet._state.redraws
    await slots.acquire()
    waiting = attaching(world, 8)
    await settle()
    held = world.host.held["kill"] = asyncio.Event()  # or its actor would end, and all it waits for
    world.host.display(8).take(9)
    await world.passes(0.2)
    slots.release()
    await settle()
    assert not slots.locked()
    held.set()
    assert world.dial(await waiting)


async def test_who_waits_for_a_turn_is_not_told_that_time_is_up(world: World) -> None:
    turns = world.fleet._state.redraws
    await turns.acquire()
    waiting = attaching(world, 7)
    await world.passes(16)
    assert not waiting.done()
    turns.release()
    assert world.dial(await waiting)


async def test_who_waits_for_a_turn_in_vain_hears_why_and_is_told_in_the_end(world: World) -> None:
    await world.fleet._state.redraws.acquire()
    client = world.client()
    waiting = asyncio.get_running_loop().create_task(
        world.fleet.attach(desktop_order(8, user_id=8), DisplayParams(), client.viewer)
    )
    for _ in range(5):
        await world.passes(15)
    assert "Waiting for other desktops to be drawn" in client.told
    with pytest.raises(TimedOut):
        await waiting


async def test_a_guest_whose_script_stalls_keeps_nobody_waiting_long(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_session, go_on = MemoryDriver.run_session, asyncio.Event()

    async def stall(self: MemoryDriver, spec: GuestSpec, verb: str, *, limit_s: float) -> int:
        if spec.vm_id == 7:
            await go_on.wait()
        return await run_session(self, spec, verb, limit_s=limit_s)

    monkeypatch.setattr(MemoryDriver, "run_session", stall)
    stalled = attaching(world, 7)
    await settle()
    waiting = attaching(world, 8)
    await world.passes(1.1)
    assert world.dial(await waiting)
    go_on.set()
    assert world.dial(await stalled)


async def test_parameters_that_change_while_a_display_waits_for_its_turn_are_heeded(
    world: World,
) -> None:
    first = await world.attach(7)
    loop = asyncio.get_running_loop()
    older = loop.create_task(world.attach(8, geometry="1x1"))
    await settle()
    newer = loop.create_task(world.attach(8, geometry="2x2"))
    await settle()
    assert world.dial(first)
    with pytest.raises(Conflict):
        await older
    await newer
    assert session_params.decode(world.host.display(8).options)["GEOMETRY"] == "2x2"
    assert world.host.display(8).hangups == [DisplayState.SUSPENDED]
