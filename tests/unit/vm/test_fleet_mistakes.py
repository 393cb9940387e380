"""Mistakes of the node's own: they are logged, hurt one VM at most, and leave nothing of it."""

import asyncio
import errno
from typing import Any

import pytest

from qvdnode.model.errors import GuestFailed
from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import VmState
from tests.fakes.memory_driver import MemoryDriver, MemoryRunFolders
from tests.fakes.vm_store import FakeVmStore
from tests.unit.vm.fleet_world import World, settle

VM = VmId(7)


def fail(*_: object, **__: object) -> Any:
    """What nobody has thought of."""
    raise OSError(errno.ENOSPC, "No space left on device")


async def test_an_effect_that_fails_by_mistake_ends_the_guest_and_is_shown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await world.connected(8)
    client = await world.attach()
    monkeypatch.setattr(MemoryRunFolders, "display_pid", fail)
    assert world.dial(client)
    await settle()
    monkeypatch.undo()
    assert client.evicted == ["the node made a mistake"]
    assert [guest.spec.vm_id for guest in world.host.guests.values()] == [8]
    assert world.fleet.load().promised_mib == 512
    row = world.farm.vms[VM]
    assert row.state is VmState.FAILED
    assert "mistake" in (row.error or "")
    assert other.evicted == []
    await world.attach()
    await world.fleet.close(stop_guests=True)
    assert world.leaks() == []


async def test_who_waits_hears_of_a_mistake(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    held = world.host.held["run_session"] = asyncio.Event()
    waiting = asyncio.get_running_loop().create_task(world.attach())
    await settle()
    monkeypatch.setattr(MemoryRunFolders, "display_pid", fail)
    held.set()
    with pytest.raises(GuestFailed, match="The node made a mistake"):
        await waiting
    await settle()
    assert world.leaks() == []


async def test_a_client_that_cannot_be_closed_keeps_no_guest_alive(world: World) -> None:
    client = await world.connected()
    client.on_evict = fail
    await world.fleet.stop(VM)
    await settle()
    assert world.leaks() == []


async def test_a_clean_up_that_fails_in_an_unknown_way_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.connected()
    monkeypatch.setattr(MemoryDriver, "kill", fail)
    stopping = asyncio.get_running_loop().create_task(world.fleet.stop(VM))
    await settle()
    monkeypatch.undo()
    assert not stopping.done()
    await world.passes(1.0)
    await stopping
    assert world.leaks() == []


async def test_a_row_that_cannot_be_written_for_an_unknown_reason_is_written_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.connected()
    monkeypatch.setattr(FakeVmStore, "release", fail)
    await world.fleet.stop(VM)
    monkeypatch.undo()
    await world.passes(1.0)
    assert world.leaks() == []
    assert await world.fleet.status(VM) is None
