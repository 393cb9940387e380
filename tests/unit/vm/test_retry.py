"""Adoption while the node cannot look at its guests for a reason of its own."""

import asyncio
import errno
import json
from pathlib import Path
from typing import Any

import pytest

from qvdnode.model.errors import Conflict, FarmError, HostFailed, PartGone, TimedOut
from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import DisplayState, VmState
from qvdnode.vm.adoption import NOT_WHOLE, AdoptionReport
from qvdnode.vm.fleet import Fleet
from qvdnode.vm.state_file import StateFiles
from tests.fakes.confinement import FakeConfinement
from tests.fakes.memory_driver import MemoryDriver, MemoryRunFolders
from tests.fakes.rootfs import FakeRootfs
from tests.fakes.vm_store import FakeVmStore
from tests.unit.vm.fleet_world import World, settle
from tests.unit.vm.test_adoption import left_behind


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.farm.add(1, 2)
    return world


async def adopted(world: World, fleet: Fleet, *, within_s: int) -> AdoptionReport:
    """The report of an adoption that may have to look again, on the world's clock."""
    adopting = asyncio.ensure_future(fleet.adopt())
    for _ in range(10 * within_s):
        await world.passes(0.1)
        if adopting.done():
            break
    assert adopting.done(), "it takes too long"
    await settle()
    return await adopting


OWN_FAILURES = [
    HostFailed("no watches left"),
    OSError(errno.EMFILE, "Too many open files"),
    OSError(errno.ENFILE, "Too many open files in system"),
    MemoryError(),
]


@pytest.mark.parametrize("failure", OWN_FAILURES)
async def test_a_guest_whose_display_cannot_be_followed_now_is_followed_later(
    world: World, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    await left_behind(world, 1)

    def follow(*_: object) -> None:
        raise failure

    async with world.node() as fleet:
        with monkeypatch.context() as exhausted:
            exhausted.setattr(MemoryRunFolders, "follow", follow)
            assert (await fleet.adopt()).adopted == (1,)
            await world.passes(0.1)
            await world.passes(0.2)
            assert world.state(1) is VmState.RUNNING
        await world.passes(0.4)
        assert world.display(1) is DisplayState.SUSPENDED
        await world.connected(1)
        assert len(world.host.launches) == 1


@pytest.mark.parametrize("failure", OWN_FAILURES)
@pytest.mark.parametrize("look", [(FakeRootfs, "adopt"), (MemoryDriver, "find")])
@pytest.mark.parametrize("times", [3, 1_000])
async def test_a_guest_that_the_node_cannot_look_at_goes_on(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    look: tuple[type, str],
    failure: Exception,
    times: int,
) -> None:
    await left_behind(world, 1, 2)
    kind, name = look
    looked, real = iter(range(times)), getattr(kind, name)

    async def fail(*words: object) -> object:
        if next(looked, None) is not None:
            raise failure
        return await real(*words)

    monkeypatch.setattr(kind, name, fail)
    async with world.node() as fleet:
        report = await adopted(world, fleet, within_s=20)
        assert sorted(report.adopted) == [1, 2]
        await world.connected(1)
        assert len(world.host.launches) == 2


async def test_a_mistake_of_the_node_while_it_looks_ends_no_guest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await left_behind(world, 1)

    async def adopt(*_: object) -> bool:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(FakeRootfs, "adopt", adopt)
    async with world.node() as fleet:
        assert (await fleet.adopt()).adopted == (1,)


async def test_state_files_that_cannot_be_read_keep_the_node_from_starting_and_end_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await left_behind(world, 1)

    def read_all(*_: object) -> None:
        raise OSError(errno.ENFILE, "Too many open files in system")

    monkeypatch.setattr(StateFiles, "read_all", read_all)
    async with world.node() as fleet:
        with pytest.raises(HostFailed, match="Too many open files"):
            await adopted(world, fleet, within_s=30)
    assert list(world.host.guests) == ["qvd-1"]


async def test_rows_that_cannot_be_read_end_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await left_behind(world, 1)

    async def owned(*_: object) -> None:
        raise TimedOut("the database is slow")

    monkeypatch.setattr(FakeVmStore, "owned", owned)
    async with world.node() as fleet:
        report = await fleet.adopt()
        assert (report.adopted, report.database) == ((1,), False)


@pytest.mark.parametrize("error", [Conflict("its address is another's"), PartGone("no folder")])
async def test_a_guest_that_is_known_not_to_be_whole_is_ended(
    world: World, monkeypatch: pytest.MonkeyPatch, error: FarmError
) -> None:
    await left_behind(world, 1)

    async def adopt(*_: object) -> None:
        raise error

    monkeypatch.setattr(FakeConfinement, "adopt", adopt)
    async with world.node() as fleet:
        assert (await fleet.adopt()).ended == (1,)
        await settle()
        assert world.leaks() == []
        assert world.farm.vms[VmId(1)].error == NOT_WHOLE


async def test_a_guest_with_ids_of_another_is_ended(world: World) -> None:
    await left_behind(world, 1, 2)
    state = world.folder / "state"
    records = [json.loads((state / f"{number}.json").read_bytes()) for number in (1, 2)]
    records[1]["ids"] = records[0]["ids"]
    (state / "2.json").write_text(json.dumps(records[1]))
    async with world.node() as fleet:
        assert (await fleet.adopt()).ended == (2,)


async def test_a_guest_whose_folder_goes_away_in_the_middle_is_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await left_behind(world, 1)

    def follow(*_: object) -> None:
        raise PartGone("the folder is gone")

    monkeypatch.setattr(MemoryRunFolders, "follow", follow)
    async with world.node() as fleet:
        await fleet.adopt()
        await settle()
        assert world.leaks() == []
        assert world.farm.vms[VmId(1)].error == "the folder is gone"


async def test_the_end_of_a_guest_is_seen_although_a_look_failed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await left_behind(world, 1)
    looked, real = iter(range(2)), MemoryDriver.wait_exit

    async def wait_exit(*words: Any) -> None:
        if next(looked, None) is not None:
            raise OSError(errno.EMFILE, "Too many open files")
        await real(*words)

    monkeypatch.setattr(MemoryDriver, "wait_exit", wait_exit)
    async with world.node() as fleet:
        await fleet.adopt()
        await settle()
        for _ in range(3):
            await world.passes(0.3)
        world.host.exit(1)
        await settle()
        assert world.state(1) is not VmState.RUNNING
