"""Suspended displays take turns to be resumed, so that each is drawn without a pause."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from qvdnode.model.errors import TimedOut
from qvdnode.model.vm_state import DisplayState
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


async def test_who_waits_for_a_turn_is_not_told_that_time_is_up(world: World) -> None:
    held = world.host.held["run_session"] = asyncio.Event()
    first = attaching(world, 7)
    await settle()
    second = attaching(world, 8)
    await world.passes(16)
    with pytest.raises(TimedOut):
        await first
    assert not second.done()
    world.host.held.clear()
    held.set()
    await settle()
    await world.passes(1.1)
    assert world.dial(await second)
