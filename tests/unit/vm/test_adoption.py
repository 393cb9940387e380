import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from qvdnode.model.ids import Generation, VmId
from qvdnode.model.vm_state import DisplayState, VmState
from qvdnode.vm.adoption import DIED_UNWATCHED, NOT_WHOLE
from qvdnode.vm.core import recovery
from tests.fakes.rootfs import FakeRootfs
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


async def test_what_was_resumed_before_needs_no_script_again(world: World) -> None:
    await left_behind(world, 1)
    verbs = world.host.sessions[VmId(1)]
    for geometry, resumes in (("1x1", 1), ("1x1", 1), ("2x2", 2), ("1x1", 3)):
        async with world.node() as fleet:
            await fleet.adopt()
            await settle()
            assert world.dial(await world.attach(1, geometry=geometry))
            await settle()
            assert verbs.count("resume") == resumes
        world.host.display(1).drop()


async def test_the_reason_of_every_decision_is_logged(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await left_behind(world, 1, 2, 3)
    world.farm.vms[VmId(2)].owner = None
    world.host.exit(3)
    caplog.set_level("INFO")
    async with world.node() as fleet:
        await fleet.adopt()
    reasons = {
        (record.getMessage(), vars(record)["vm"]): vars(record)["because"]
        for record in caplog.records
        if record.name == "qvdnode.vm.adoption" and "because" in vars(record)
    }
    assert reasons == {
        ("guest_adopted", 1): recovery.CONFIRMED,
        ("guest_not_adopted", 2): recovery.NOT_OURS,
        ("guest_not_adopted", 3): recovery.LEFT_OVER,
        ("row_marked_stopped", 3): recovery.GONE,
    }


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
        row = world.farm.vms[VmId(1)]
        assert (row.state, row.error) == (VmState.STOPPED, None)


async def test_a_guest_that_died_while_no_node_ran_is_shown_as_failed(world: World) -> None:
    await left_behind(world, 1)
    world.host.exit(1)
    async with world.node() as fleet:
        report = await fleet.adopt()
        await settle()
        assert report.ended == (1,)
        row = world.farm.vms[VmId(1)]
        assert (row.state, row.error) == (VmState.FAILED, DIED_UNWATCHED)
        assert world.leaks() == []
        await world.connected(1)
        assert row.error is None


async def test_a_stop_that_was_broken_off_is_no_failure(world: World) -> None:
    await left_behind(world, 1)
    world.farm.vms[VmId(1)].state = VmState.STOPPING
    world.host.exit(1)
    async with world.node() as fleet:
        await fleet.adopt()
        await settle()
        row = world.farm.vms[VmId(1)]
        assert (row.state, row.error) == (VmState.STOPPED, None)


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
        row = world.farm.vms[VmId(1)]
        assert (row.state, row.error) == (VmState.FAILED, NOT_WHOLE)
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


async def test_rules_of_a_guest_that_is_ended_at_once_are_not_put_back(world: World) -> None:
    await left_behind(world, 1, 2)
    world.host.exit(1)
    async with world.node() as fleet:
        await fleet.adopt()
        await settle()
        assert [leak for leak in world.leaks() if "port" in leak] == [
            f"port {world.host.guest(2).spec.port.link}"
        ]


async def test_a_suspended_desktop_whose_log_was_cut_is_known_to_have_been_used(
    world: World,
) -> None:
    await left_behind(world, 1)
    world.host.folders[VmId(1)].log = "Session: Session suspended at an earlier time.\n"
    async with world.node() as fleet:
        await fleet.adopt()
        await settle()
        world.host.display(1).take(9)
        await world.passes(0.2)
        assert world.host.sessions[VmId(1)] == ["start", "stop"]
        assert world.leaks() == []


async def test_the_row_of_another_start_is_released_once_the_guest_that_was_found_is_gone(
    world: World,
) -> None:
    await left_behind(world, 1)
    row = world.farm.vms[VmId(1)]
    row.generation = Generation(row.generation + 1)
    held = world.host.held["kill"] = asyncio.Event()
    async with world.node() as fleet:
        await fleet.adopt()
        await settle()
        assert row.owner is not None
        held.set()
        await settle()
        assert row.state is VmState.STOPPED
        assert world.leaks() == []


async def test_what_a_row_says_that_was_set_right_already_is_left(world: World) -> None:
    await left_behind(world, 1)
    world.host.exit(1)
    world.boot_id = "boot-2"
    row = world.farm.vms[VmId(1)]
    row.owner, row.state, row.error = None, VmState.STOPPED, "The host was restarted."
    async with world.node() as fleet:
        await fleet.adopt()
        await settle()
        assert world.leaks() == []
        assert row.error == "The host was restarted."


async def test_one_stray_does_not_keep_the_node_from_starting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await left_behind(world, 1)

    async def sweep(*_: object) -> list[str]:
        raise OSError("stale")

    monkeypatch.setattr(FakeRootfs, "sweep", sweep)
    async with world.node() as fleet:
        report = await fleet.adopt()
        assert report.adopted == (1,)
