"""Desktops that nobody uses are frozen, and thawed before anything is done with them."""

import asyncio
from pathlib import Path

import pytest

from qvdnode.model.errors import HostFailed, TimedOut
from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import DisplayState, VmState
from tests.fakes.orders import desktop_order
from tests.unit.vm.fleet_world import World, settle

VM = VmId(7)


async def left(world: World) -> None:
    """A desktop that had a client, which has gone."""
    world.hang_up(await world.connected())
    await settle()
    assert world.display() is DisplayState.SUSPENDED


async def hibernated(world: World) -> None:
    await left(world)
    assert await world.fleet.hibernate(VM)
    await settle()
    assert world.state() is VmState.HIBERNATED


def frozen(world: World) -> bool:
    return bool(world.host.frozen)


async def test_a_desktop_without_a_client_is_frozen_and_its_memory_reclaimed(world: World) -> None:
    await hibernated(world)
    assert frozen(world)
    assert world.host.reclaims == ["qvd-7"]
    assert world.farm.vms[VM].state is VmState.HIBERNATED


async def test_a_client_thaws_it_and_resumes_its_display(world: World) -> None:
    await hibernated(world)
    client = await world.connected()
    assert not frozen(world)
    assert not client.evicted
    assert (world.state(), world.display()) == (VmState.RUNNING, DisplayState.CONNECTED)
    assert world.host.launches == [7]
    assert world.farm.vms[VM].state is VmState.RUNNING


async def test_a_desktop_with_a_client_is_never_frozen(world: World) -> None:
    await world.connected()
    assert not await world.fleet.hibernate(VM)
    assert not frozen(world)
    assert world.state() is VmState.RUNNING


async def test_one_that_never_had_a_client_is_not_frozen(world: World) -> None:
    await world.fleet.start(desktop_order(7, user_id=7))
    assert not await world.fleet.hibernate(VM)
    assert not await world.fleet.hibernate(VmId(8)), "nothing of it is here"


async def test_a_client_that_comes_in_the_same_moment_is_not_hurt(world: World) -> None:
    await left(world)
    asked = asyncio.gather(world.fleet.hibernate(VM), world.attach())
    _, client = await asked
    assert world.dial(client)
    await settle()
    assert not frozen(world)
    assert (world.state(), world.display()) == (VmState.RUNNING, DisplayState.CONNECTED)


async def test_a_client_that_was_first_keeps_the_desktop_awake(world: World) -> None:
    await left(world)
    attach = asyncio.ensure_future(world.attach())
    await asyncio.sleep(0)
    assert not await world.fleet.hibernate(VM)
    assert world.dial(await attach)
    await settle()
    assert not frozen(world)


async def test_a_client_does_not_wait_for_the_reclaim(world: World) -> None:
    await left(world)
    world.host.held["reclaim"] = asyncio.Event()
    assert await world.fleet.hibernate(VM)
    await world.connected()
    world.host.held.pop("reclaim").set()
    await settle()
    assert world.host.reclaims == []
    assert world.state() is VmState.RUNNING


async def test_a_stop_thaws_first_and_ends_in_order(world: World) -> None:
    await hibernated(world)
    await world.fleet.stop(VM)
    assert world.host.sessions[VM][-1] == "stop"
    assert world.leaks() == []


async def test_a_start_wakes_it(world: World) -> None:
    await hibernated(world)
    await world.passes(50.0)
    await world.fleet.start(desktop_order(7, user_id=7))
    assert not frozen(world)
    status = world.status()
    assert status is not None
    assert status.state is VmState.RUNNING
    assert status.unused_since == world.clock.now(), "it counts as used just now"


async def test_since_when_nobody_uses_it_is_told(world: World) -> None:
    client = await world.connected()
    status = world.status()
    assert status is not None
    assert status.unused_since is None
    world.hang_up(client)
    await settle()
    began = world.clock.now()
    await world.passes(30.0)
    assert await world.fleet.hibernate(VM)
    status = world.status()
    assert status is not None
    assert status.unused_since == began


@pytest.mark.parametrize("method", ["freeze", "reclaim"])
async def test_one_that_cannot_be_frozen_runs_on(
    world: World, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    await left(world)
    error = HostFailed("no freezer") if method == "freeze" else TimedOut("it did not freeze")
    world.host.failing[method] = error
    await world.fleet.hibernate(VM)
    await settle()
    assert world.state() is VmState.RUNNING
    assert not frozen(world)
    because = [vars(r)["because"] for r in caplog.records if r.getMessage() == "not_hibernated"]
    assert because == [str(error)]
    world.host.failing.clear()
    await world.connected()


async def test_a_guest_that_dies_hibernated_is_cleaned_up(world: World) -> None:
    await hibernated(world)
    world.host.exit(7)
    await settle()
    assert world.leaks() == []
    assert "ended" in (world.farm.vms[VM].error or "")


async def test_a_full_disk_ends_a_hibernated_guest(world: World) -> None:
    await hibernated(world)
    world.fleet.end_for_disk(VM, "The disk is full.", at_once=False)
    await settle()
    assert world.leaks() == []


async def test_a_dead_node_leaves_it_hibernated_and_the_next_one_adopts_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.farm.add(7)
    async with world.node():
        await hibernated(world)
    assert frozen(world), "the end of a node wakes nobody"
    async with world.node() as fleet:
        report = await fleet.adopt()
        await settle()
        assert report.adopted == (7,)
        assert world.state() is VmState.HIBERNATED
        assert world.display() is DisplayState.SUSPENDED
        assert world.host.reclaims == ["qvd-7", "qvd-7"], "an interrupted reclaim is finished"
        await world.connected()
        assert world.state() is VmState.RUNNING
        assert not frozen(world)


async def test_a_node_that_stops_leaves_hibernated_guests_alone(world: World) -> None:
    await hibernated(world)
    await world.fleet.close(stop_guests=False)
    assert world.state() is VmState.HIBERNATED


async def test_a_node_that_ends_its_guests_ends_hibernated_ones(world: World) -> None:
    await hibernated(world)
    await world.fleet.close(stop_guests=True)
    assert world.leaks() == []
