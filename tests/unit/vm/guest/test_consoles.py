"""Consoles of guests: one administrator each, closed when nobody asks any more."""

import pytest

from qvdnode.model.console import TYPED_MAX, ConsoleOutput, ConsoleWish
from qvdnode.model.errors import Conflict, HostFailed, Invalid, NotFound
from qvdnode.model.ids import VmId
from qvdnode.vm.guest import consoles
from tests.unit.vm.fleet_world import World, settle
from tests.waiting import until

VM = VmId(7)
BEGINS = ConsoleWish("a", begins=True)
NOTHING = ConsoleOutput(b"", is_open=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consoles, "WAIT_S", 0.05)


async def test_what_is_typed_is_shown_until_it_is_closed(world: World) -> None:
    await world.connected()
    assert await world.fleet.console(VM, BEGINS) == NOTHING
    assert await world.fleet.console(VM, ConsoleWish("a", typed=b"date\n")) == NOTHING
    assert await world.fleet.console(VM, ConsoleWish("a")) == ConsoleOutput(b"date\n", True)
    ended = ConsoleOutput(b"", is_open=False)
    assert await world.fleet.console(VM, ConsoleWish("a", ends=True)) == ended
    assert await world.fleet.console(VM, ConsoleWish("a", ends=True)) == ended
    assert await world.fleet.console(VM, ConsoleWish("a", typed=b"x")) == ended
    assert world.host.consoles == {}


async def test_a_guest_that_closes_it_ends_it(world: World) -> None:
    await world.connected()
    await world.fleet.console(VM, BEGINS)
    world.host.consoles[VM].cancel()
    await settle()
    assert not (await world.fleet.console(VM, ConsoleWish("a"))).is_open
    assert (await world.fleet.console(VM, ConsoleWish("b", begins=True))).is_open
    await world.fleet.console(VM, ConsoleWish("b", ends=True))


async def test_an_end_that_is_gone_makes_room(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consoles, "IDLE_S", 0.2)
    await world.connected()
    await world.fleet.console(VM, BEGINS)
    with pytest.raises(Conflict):
        await world.fleet.console(VM, ConsoleWish("b", begins=True))
    await until(lambda: VM not in world.host.consoles, limit_s=5, what="the end to be given up")
    assert (await world.fleet.console(VM, ConsoleWish("b", begins=True))).is_open
    await world.fleet.console(VM, ConsoleWish("b", ends=True))


async def test_what_cannot_be_opened_says_why(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotFound, match="does not run"):
        await world.fleet.console(VM, BEGINS)
    await world.connected()
    with pytest.raises(Invalid):
        await world.fleet.console(VM, ConsoleWish("a", typed=b"x" * (TYPED_MAX + 1)))
    world.host.failing["open_console"] = HostFailed("the machine's console cannot be opened")
    with pytest.raises(HostFailed, match="cannot be opened"):
        await world.fleet.console(VM, BEGINS)
    del world.host.failing["open_console"]
    monkeypatch.setattr(consoles, "WithConsole", int)  # which the driver is not
    with pytest.raises(Conflict, match="nsenter"):
        await world.fleet.console(VM, BEGINS)
