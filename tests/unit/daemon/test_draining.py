"""A node that is being emptied."""

import asyncio

import pytest

from qvdnode.daemon.draining import LOOK_EVERY_S, UNUSED_S, Draining
from qvdnode.model.errors import HostFailed
from qvdnode.model.farm import Drain
from qvdnode.model.ids import NodeId, VmId
from qvdnode.model.vm_state import DisplayState, VmState
from tests.fakes.clock import ManualClock
from tests.fakes.fleet import FakeFleet
from tests.fakes.orders import desktop_order


class Host:
    """Satisfies vm.ports.Admission."""

    def refusal(self, memory_mib: int, promised_mib: int) -> str | None:
        return None if promised_mib < 1000 else "It is full."


class World:
    """A node with a desktop that is used, and one that is not."""

    def __init__(self, drain: Drain, here: int | None = 1) -> None:
        self.drain = drain
        self.problem: str | None = None
        self.clock = ManualClock()
        self.guests = FakeFleet()
        self.draining = Draining(
            lambda _: self.drain,
            lambda: None if here is None else NodeId(here),
            Host(),
            lambda: self.problem,
            self.clock,
        )
        self.guests.put(desktop_order(7), VmState.RUNNING, DisplayState.CONNECTED, viewer=True)
        self.guests.put(desktop_order(8), VmState.RUNNING, DisplayState.SUSPENDED)

    def states(self) -> list[VmState | None]:
        found = (self.guests.guest(VmId(n)) for n in (7, 8))
        return [None if guest is None else guest.state for guest in found]


RUNS = [VmState.RUNNING, VmState.RUNNING]


def test_a_node_that_is_emptied_takes_nothing_new() -> None:
    world = World(Drain.NO)
    assert not world.draining.wanted()
    assert world.draining.refusal(512, 0) is None
    assert world.draining.refusal(512, 1000) == "It is full."
    world.problem = "It is not watched."
    assert world.draining.refusal(512, 0) == "It is not watched."
    world.problem = None
    for drain in (Drain.STAY, Drain.MOVE):
        world.drain = drain
        assert world.draining.wanted()
        assert "empties it for maintenance" in str(world.draining.refusal(512, 0))


def test_a_node_that_has_not_joined_is_not_emptied() -> None:
    assert not World(Drain.MOVE, here=None).draining.wanted()


async def test_what_nobody_uses_is_stopped_after_a_minute() -> None:
    world = World(Drain.MOVE)
    await world.draining.stop_unused(world.guests)
    world.clock.advance(UNUSED_S - 1)
    await world.draining.stop_unused(world.guests)
    assert world.states() == RUNS
    world.clock.advance(1)
    await world.draining.stop_unused(world.guests)
    assert world.states()[0] is VmState.RUNNING
    assert world.states()[1] is not VmState.RUNNING


async def test_a_client_that_comes_back_in_time_keeps_its_desktop() -> None:
    world = World(Drain.MOVE)
    await world.draining.stop_unused(world.guests)
    world.clock.advance(UNUSED_S - 1)
    world.guests.put(desktop_order(8), VmState.RUNNING, DisplayState.CONNECTED, viewer=True)
    await world.draining.stop_unused(world.guests)
    world.guests.put(desktop_order(8), VmState.RUNNING, DisplayState.SUSPENDED)
    world.clock.advance(1)
    await world.draining.stop_unused(world.guests)
    assert world.states() == RUNS


async def test_desktops_stay_unless_they_are_to_move() -> None:
    world = World(Drain.STAY)
    task = asyncio.create_task(world.draining.run(world.guests))
    for _ in range(40):
        await asyncio.sleep(0)
        world.clock.advance(LOOK_EVERY_S)
    assert world.states() == RUNS
    world.drain = Drain.MOVE
    for _ in range(40):
        await asyncio.sleep(0)
        world.clock.advance(LOOK_EVERY_S)
    assert world.states()[1] is not VmState.RUNNING
    task.cancel()


async def test_a_desktop_that_cannot_be_stopped_is_tried_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(Drain.MOVE)

    async def fail(vm_id: VmId) -> None:
        raise HostFailed("It does not end.")

    with monkeypatch.context() as patch:
        patch.setattr(world.guests, "stop", fail)
        await world.draining.stop_unused(world.guests)
        world.clock.advance(UNUSED_S)
        await world.draining.stop_unused(world.guests)
    assert "desktop_not_stopped" in caplog.text
    await world.draining.stop_unused(world.guests)
    assert world.states()[1] is not VmState.RUNNING
