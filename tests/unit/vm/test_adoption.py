from collections.abc import Callable
from pathlib import Path

import pytest

from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import DisplayState, VmState
from tests.unit.vm.fleet_world import World, settle


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.farm.add(*range(1, 30))
    return world


async def left_behind(world: World, *vm_ids: int) -> None:
    """A node that ran these desktops, with clients, and died."""
    async with world.node():
        for vm_id in vm_ids:
            await world.connected(vm_id)
    for vm_id in vm_ids:
        # The streams die with the node, and each display notices.
        world.host.display(vm_id).drop()


async def test_what_runs_goes_on_and_clients_come_back(world: World) -> None:
    await left_behind(world, *range(1, 21))
    async with world.node() as fleet:
        report = await fleet.adopt()
        await settle()
        assert sorted(report.adopted) == list(range(1, 21))
        for vm_id in range(1, 21):
            assert world.state(vm_id) is VmState.RUNNING
            assert world.display(vm_id) is DisplayState.SUSPENDED
            await world.connected(vm_id)
        assert len(world.host.launches) == 20


async def test_adopted_desktops_stop_without_leaving_anything(world: World) -> None:
    await left_behind(world, 1)
    async with world.node() as fleet:
        await fleet.adopt()
        await fleet.stop(VmId(1))
        await settle()
        assert world.leaks() == []


async def test_it_works_without_the_database(world: World) -> None:
    await left_behind(world, 1)
    world.farm.away = True
    async with world.node() as fleet:
        report = await fleet.adopt()
        assert not report.database
        await world.connected(1)


async def test_rows_of_lost_guests_are_released_when_the_database_is_back(world: World) -> None:
    await left_behind(world, 1)
    world.farm.away = True
    world.host.exit(1)
    (world.folder / "state" / "1.json").unlink()
    async with world.node() as fleet:
        await fleet.adopt()
        world.farm.away = False
        await world.passes(2.0)
        assert world.farm.vms[VmId(1)].owner is None


async def test_after_a_reboot_nothing_is_taken_for_running(world: World) -> None:
    await left_behind(world, 1)
    world.host.exit(1)
    world.host.folders.clear()
    world.boot_id = "boot-2"
    async with world.node() as fleet:
        report = await fleet.adopt()
        await settle()
        assert report.adopted == ()
        assert world.leaks() == []
        assert world.farm.vms[VmId(1)].state is VmState.STOPPED


async def test_a_guest_of_another_generation_is_ended(world: World) -> None:
    await left_behind(world, 1)
    world.farm.vms[VmId(1)].owner = None
    async with world.node() as fleet:
        report = await fleet.adopt()
        await settle()
        assert report.ended == (1,)
        assert world.host.guests == {}


async def test_a_guest_without_its_mounts_is_ended(world: World) -> None:
    await left_behind(world, 1)
    world.rootfs.mounted.clear()
    async with world.node() as fleet:
        await fleet.adopt()
        await settle()
        assert world.leaks() == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b'{"version": 99}'),
        lambda path: path.write_bytes(path.read_bytes()[:100]),
    ],
)
async def test_a_spoiled_state_file_is_set_aside_and_its_guest_swept(
    world: World, spoil: Callable[[Path], None]
) -> None:
    await left_behind(world, 1)
    spoil(world.folder / "state" / "1.json")
    async with world.node() as fleet:
        report = await fleet.adopt()
        await settle()
        assert "qvd-1" in report.swept
        assert world.host.guests == {}
        assert (world.folder / "state" / "1.unreadable").exists()


async def test_a_desktop_that_ended_meanwhile_is_cleaned(world: World) -> None:
    await left_behind(world, 1)
    world.host.display(1).take(15)
    async with world.node() as fleet:
        await fleet.adopt()
        await settle()
        assert world.leaks() == []
