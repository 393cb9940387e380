"""Starts, stops and takeovers of desktops, and what stands in their way."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import (
    Conflict,
    GuestFailed,
    LeaseLost,
    NodeFull,
    Unavailable,
)
from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import DisplayState, VmState
from tests.fakes.orders import desktop_order
from tests.fakes.vm_store import FakeVmStore
from tests.unit.vm.fleet_world import World, settle

VM = VmId(7)


async def test_a_connect_starts_the_vm_and_gives_its_address(world: World) -> None:
    client = await world.attach()
    assert (client.seat.address.host, client.seat.address.port) == (
        str(world.host.guest(7).spec.port.address.ip),
        4100,
    )
    assert world.state() is VmState.RUNNING
    assert client.told == [
        "Starting virtual machine",
        "Starting X session at VM 7",
        "Waiting for X session to come up on VM 7",
        "Connecting X session for VM_ID: 7",
    ]
    await settle()
    assert world.farm.vms[VM].state is VmState.RUNNING


async def test_every_step_of_a_start_is_measured_and_the_rules_come_before_the_guest(
    world: World,
) -> None:
    await world.attach()
    status = await world.fleet.status(VM)
    assert status is not None
    steps = ["queue", "acquire", "network", "mount", "confine", "launch", "session", "listen"]
    assert [step for step in status.steps if step in steps] == steps


async def test_stopping_leaves_nothing(world: World) -> None:
    client = await world.connected()
    await world.fleet.stop(VM)
    await settle()
    assert client.evicted == ["the desktop is being stopped"]
    assert world.leaks() == []
    assert await world.fleet.status(VM) is None
    assert world.farm.vms[VM].state is VmState.STOPPED


async def test_a_vm_can_be_deleted_as_soon_as_its_stop_returns(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = FakeVmStore.release

    async def slowly(self: FakeVmStore, *row: Any, **rest: Any) -> None:
        await settle()
        await release(self, *row, **rest)

    monkeypatch.setattr(FakeVmStore, "release", slowly)
    await world.connected()
    await world.fleet.stop(VM)
    row = world.farm.vms[VM]
    assert (row.state, row.owner) == (VmState.STOPPED, None)


async def test_stopping_what_does_not_run_is_fine(world: World) -> None:
    await world.fleet.stop(VM)
    assert world.host.launches == []


async def test_the_newest_connection_wins_and_nothing_is_lost(world: World) -> None:
    first = await world.connected()
    second = await world.connected()
    assert first.evicted == ["a newer connection took over"]
    assert "Closing the session of another client" in second.told
    assert world.display() is DisplayState.CONNECTED
    assert world.host.launches == [7]
    assert world.host.display(7).hangups == [DisplayState.SUSPENDED]


async def test_two_connects_in_the_same_moment_start_once_and_seat_one(world: World) -> None:
    outcomes = await asyncio.gather(world.attach(), world.attach(), return_exceptions=True)
    assert isinstance(outcomes[0], Conflict)
    assert not isinstance(outcomes[1], BaseException)
    assert world.host.launches == [7]


async def test_two_connects_to_a_running_desktop_seat_the_newest(world: World) -> None:
    old = await world.connected()
    outcomes = await asyncio.gather(world.attach(), world.attach(), return_exceptions=True)
    assert isinstance(outcomes[0], Conflict)
    assert not isinstance(outcomes[1], BaseException)
    assert len(old.evicted) == 1


async def test_a_stale_seat_cannot_detach_a_newer_one(world: World) -> None:
    first = await world.connected()
    second = await world.connected()
    world.fleet.detach(first.seat)
    await settle()
    status = await world.fleet.status(VM)
    assert status is not None
    assert status.viewer
    assert second.evicted == []


async def test_a_client_that_vanishes_while_it_waits_leaves_the_start_going(world: World) -> None:
    world.host.held["launch"] = asyncio.Event()
    waiting = asyncio.get_running_loop().create_task(world.attach())
    await settle()
    waiting.cancel()
    await settle()
    world.host.held.pop("launch").set()
    await settle()
    assert world.state() is VmState.RUNNING
    status = await world.fleet.status(VM)
    assert status is not None
    assert not status.viewer
    await world.attach()
    assert world.host.launches == [7]


async def test_a_stop_while_it_starts_unwinds(world: World) -> None:
    world.host.held["launch"] = asyncio.Event()
    waiting = asyncio.get_running_loop().create_task(world.attach())
    await settle()
    assert world.state() is VmState.PREPARING
    stopping = asyncio.get_running_loop().create_task(world.fleet.stop(VM))
    await settle()
    world.host.held.pop("launch").set()
    await stopping
    with pytest.raises(Conflict):
        await waiting
    await settle()
    assert world.leaks() == []


async def test_a_client_that_vanishes_after_its_start_failed_changes_nothing(
    world: World,
) -> None:
    world.host.failing["launch"] = GuestFailed("it does not boot", step="launch")
    held = world.host.held["kill"] = asyncio.Event()
    waiting = asyncio.get_running_loop().create_task(world.attach())
    await settle()
    assert world.state() is VmState.KILLING
    waiting.cancel()
    await settle()
    held.set()
    await settle()
    assert world.farm.vms[VM].error == "it does not boot"
    assert world.leaks() == []


async def test_a_full_node_is_said_and_reconnects_still_work(world: World) -> None:
    first = await world.connected(1)
    world.admission.limit_mib = 512
    with pytest.raises(NodeFull, match=r"^no memory for one more desktop\.$"):
        await world.attach(2)
    world.hang_up(first)
    await settle()
    await world.attach(1)


async def test_two_starts_in_one_moment_do_not_share_the_last_memory(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    acquire = FakeVmStore.acquire

    async def slowly(self: FakeVmStore, *row: Any) -> Any:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return await acquire(self, *row)

    monkeypatch.setattr(FakeVmStore, "acquire", slowly)
    memory_mib = desktop_order(1, user_id=1).flavour.memory_mib
    world.admission.limit_mib = memory_mib
    outcomes = await asyncio.gather(world.attach(1), world.attach(2), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Client", "NodeFull"]
    await settle()
    assert world.fleet.load().promised_mib == memory_mib


async def test_two_starts_in_one_moment_do_not_share_the_last_disk_space(world: World) -> None:
    world.rootfs.room_mib = desktop_order(1, user_id=1).flavour.disk_mib
    outcomes = await asyncio.gather(world.attach(1), world.attach(2), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Client", "NodeFull"]
    await settle()
    assert len(world.fleet.promised()) == 1


async def test_a_guest_keeps_what_it_was_promised_when_its_flavour_changes(world: World) -> None:
    first = await world.connected()
    world.hang_up(first)
    await settle()
    promised = world.fleet.load().promised_mib
    smaller = replace(desktop_order(7, user_id=7).flavour, memory_mib=64)
    order = desktop_order(7, user_id=7, flavour=smaller)
    await world.fleet.attach(order, DisplayParams(), first.viewer)
    assert world.fleet.load().promised_mib == promised


async def test_on_a_full_disk_nothing_is_begun(world: World) -> None:
    world.rootfs.full = True
    with pytest.raises(NodeFull, match="the disk is nearly full"):
        await world.attach()
    await settle()
    row = world.farm.vms[VM]
    assert (row.state, row.generation, row.error) == (VmState.STOPPED, 0, None)
    assert world.leaks() == []
    world.rootfs.full = False
    await world.attach()
    assert row.generation == 1


async def test_a_disk_that_fills_up_while_a_start_is_on_its_way_is_undone(world: World) -> None:
    world.rootfs.fills_up = True
    with pytest.raises(NodeFull, match="the disk is nearly full"):
        await world.attach()
    await settle()
    row = world.farm.vms[VM]
    assert (row.state, row.generation) == (VmState.FAILED, 1)
    assert world.leaks() == []


@pytest.mark.parametrize("method", ["launch", "run_session"])
async def test_a_driver_that_fails_is_said_and_undone(world: World, method: str) -> None:
    world.host.failing[method] = GuestFailed("it does not boot", step=method)
    with pytest.raises(GuestFailed, match="it does not boot"):
        await world.attach()
    await settle()
    world.host.failing.clear()
    assert world.leaks() == []
    assert world.farm.vms[VM].state is VmState.FAILED
    assert world.farm.vms[VM].error == "it does not boot"
    await world.attach()
    assert world.farm.vms[VM].error is None


async def test_a_lease_that_runs_out_during_a_start_launches_nothing(world: World) -> None:
    world.lease_problem = "The lease ran out."
    with pytest.raises(LeaseLost, match="ran out"):
        await world.attach()
    await settle()
    assert world.host.guests == {}
    assert world.leaks() == []
    world.lease_problem = None
    await world.attach()


async def test_a_guest_that_ends_is_noticed_at_once_and_shown_as_such(world: World) -> None:
    client = await world.connected()
    world.host.exit(7)
    await settle()
    assert client.evicted == ["the guest ended unexpectedly"]
    assert world.leaks() == []
    row = world.farm.vms[VM]
    assert row.state is VmState.FAILED
    assert "ended unexpectedly" in (row.error or "")
    await world.attach()
    assert row.error is None


async def test_a_connect_while_it_stops_starts_it_again(world: World) -> None:
    await world.connected()
    world.host.held["kill"] = asyncio.Event()
    stopping = asyncio.get_running_loop().create_task(world.fleet.stop(VM))
    await settle()
    waiting = asyncio.get_running_loop().create_task(world.attach())
    await settle()
    world.host.held.pop("kill").set()
    await stopping
    await waiting
    assert world.host.launches == [7, 7]


async def test_a_stubborn_guest_is_killed_after_the_limit(world: World) -> None:
    await world.connected()
    world.host.stubborn.add(VM)
    stopping = asyncio.get_running_loop().create_task(world.fleet.stop(VM))
    await settle()
    assert world.state() is VmState.STOPPING
    await world.passes(10.0)
    await stopping
    assert world.host.guests == {}


async def test_a_clean_up_that_fails_is_tried_again(world: World) -> None:
    await world.connected()
    world.rootfs.refusal = "busy"
    stopping = asyncio.get_running_loop().create_task(world.fleet.stop(VM))
    await settle()
    assert world.state() is VmState.CLEANING
    world.rootfs.refusal = None
    await world.passes(1.0)
    await stopping
    await settle()
    assert world.leaks() == []


async def test_without_database_a_running_desktop_is_reached_and_a_new_one_refused(
    world: World,
) -> None:
    first = await world.connected()
    world.farm.away = True
    world.hang_up(first)
    await settle()
    await world.connected()
    with pytest.raises(Unavailable):
        await world.attach(8)


async def test_a_row_is_written_once_the_database_is_back(world: World) -> None:
    await world.connected()
    world.farm.away = True
    await world.fleet.stop(VM)
    assert world.host.guests == {}
    with pytest.raises(Unavailable):
        await world.attach()
    world.farm.away = False
    for _ in range(6):
        await world.passes(30.0)
    assert world.farm.vms[VM].owner is None
    assert await world.fleet.status(VM) is None
    await world.attach()


async def test_a_claim_that_nobody_knows_of_is_given_back_once_the_database_is_back(
    world: World,
) -> None:
    world.farm.away_with_next_acquire = True
    with pytest.raises(Unavailable):
        await world.attach()
    assert world.farm.vms[VM].state is VmState.PREPARING
    assert world.host.guests == {}
    world.farm.away = False
    for _ in range(6):
        await world.passes(30.0)
    assert world.farm.vms[VM].owner is None
    assert world.farm.vms[VM].state is VmState.FAILED
    assert world.leaks() == []


async def test_a_lost_lease_ends_the_guest(world: World) -> None:
    world.host.held["run_session"] = asyncio.Event()
    waiting = asyncio.get_running_loop().create_task(world.attach())
    await settle()
    world.farm.vms[VM].owner = None
    world.farm.vms[VM].generation += 1  # type: ignore[assignment]  # somebody else's start
    world.host.held.pop("run_session").set()
    outcome = (await asyncio.gather(waiting, return_exceptions=True))[0]
    await settle()
    assert world.host.guests == {}
    assert outcome is not None


async def test_an_administrator_starts_and_disconnects(world: World) -> None:
    starter = world.client()
    await world.fleet.start(desktop_order(7, user_id=7), starter.viewer)
    assert world.state() is VmState.RUNNING
    assert starter.told[0] == "Starting virtual machine"
    assert not await world.fleet.disconnect(VM)
    client = await world.connected()
    assert await world.fleet.disconnect(VM)
    await settle()
    assert client.evicted == ["disconnected by an administrator"]
    assert world.display() is DisplayState.SUSPENDED


async def test_closing_can_leave_the_guests(world: World) -> None:
    await world.connected(1)
    await world.fleet.close(stop_guests=False)
    assert len(world.host.guests) == 1
    with pytest.raises(Unavailable):
        await world.attach(2)


async def test_closing_can_stop_the_guests(world: World) -> None:
    await world.connected(1)
    await world.connected(2)
    await world.fleet.close(stop_guests=True)
    await settle()
    assert world.leaks() == []
