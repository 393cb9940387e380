"""Desktops that fill the disk are ended, and it is said why."""

import asyncio

import pytest

from qvdnode.model.errors import GuestFailed
from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import VmState
from tests.unit.vm.fleet_world import World, settle

BECAUSE = "The desktop was ended because it was filling the node's disk."


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_desktop_that_fills_the_disk_is_ended_and_everybody_is_told_why(
    world: World, *, at_once: bool
) -> None:
    culprit, other = await world.connected(1), await world.connected(2)
    world.fleet.end_for_disk(VmId(1), BECAUSE, at_once=at_once)
    world.fleet.end_for_disk(VmId(99), BECAUSE, at_once=at_once)
    await settle()
    assert culprit.evicted == ["the desktop was filling the node's disk"]
    assert other.evicted == []
    row = world.farm.vms[VmId(1)]
    assert (row.state, row.error) == (VmState.FAILED, BECAUSE)
    assert world.farm.vms[VmId(2)].state is VmState.RUNNING


async def test_one_that_takes_its_time_to_end_is_killed_when_the_space_runs_out(
    world: World,
) -> None:
    await world.connected(1)
    world.host.stubborn.add(VmId(1))
    world.fleet.end_for_disk(VmId(1), BECAUSE, at_once=False)
    await settle()
    assert world.state(1) is VmState.STOPPING
    world.fleet.end_for_disk(VmId(1), BECAUSE, at_once=True)
    await settle()
    assert world.farm.vms[VmId(1)].state is VmState.FAILED


async def test_one_that_still_comes_up_is_refused_to_who_waits_for_it(world: World) -> None:
    world.host.silent.add(VmId(1))
    waiting = asyncio.get_running_loop().create_task(world.attach(1))
    await settle()
    world.fleet.end_for_disk(VmId(1), BECAUSE, at_once=True)
    with pytest.raises(GuestFailed, match="filling the node's disk"):
        await waiting
