"""Whoever gets the seat finds the display with their own parameters, whoever asked before."""

import asyncio
from collections.abc import Callable

import pytest

from qvdnode.model.errors import Conflict, HostFailed
from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import DisplayState, VmState
from qvdnode.wire import session_params
from tests.fakes.orders import desktop_order
from tests.unit.vm.fleet_world import Client, World, settle

VM = VmId(7)


def asked(world: World) -> str | None:
    """The geometry that the display read from its options."""
    return session_params.decode(world.host.display(7).options).get("GEOMETRY")


def attaching(world: World, geometry: str) -> "asyncio.Task[Client]":
    return asyncio.get_running_loop().create_task(world.attach(geometry=geometry))


async def suspended(world: World) -> None:
    """A desktop that its client has left."""
    world.hang_up(await world.connected())
    await settle()
    assert world.display() is DisplayState.SUSPENDED


async def before_the_script(world: World) -> Callable[[], None]:
    held = world.host.held["run_session"] = asyncio.Event()
    return held.set


async def after_the_signal(world: World) -> Callable[[], None]:
    held = world.host.held["signal_display"] = asyncio.Event()
    display = world.host.display(7)
    display.slow = True

    def go_on() -> None:
        held.set()
        display.slow = False
        display.listen()

    return go_on


@pytest.mark.parametrize("hold", [before_the_script, after_the_signal])
@pytest.mark.parametrize(("first", "second"), [("1x1", "2x2"), ("2x2", "1x1")])
async def test_the_newcomer_of_two_that_race_for_a_resume_gets_its_own(
    world: World, hold: Callable[[World], object], first: str, second: str
) -> None:
    await suspended(world)
    go_on = await hold(world)  # type: ignore[misc]  # one of the two above
    older = attaching(world, first)
    await settle()
    newer = attaching(world, second)
    await settle()
    assert not newer.done()
    go_on()
    client = await newer
    with pytest.raises(Conflict):
        await older
    assert asked(world) == second
    assert world.dial(client)
    assert world.host.launches == [7]
    assert set(world.host.display(7).hangups) == {DisplayState.SUSPENDED}


async def test_a_resume_in_vain_is_not_used_for_the_next_client(world: World) -> None:
    await suspended(world)
    left = await world.attach(geometry="1x1")
    world.fleet.detach(left.seat)
    await world.passes(0.5)
    assert world.display() is DisplayState.LISTENING
    client = await world.attach(geometry="2x2")
    assert asked(world) == "2x2"
    assert world.dial(client)
    assert world.host.display(7).hangups == [DisplayState.SUSPENDED] * 2


async def test_a_display_that_its_last_client_has_just_dialled_is_not_offered(world: World) -> None:
    await suspended(world)
    left = await world.attach(geometry="1x1")
    assert world.host.display(7).reach()  # the log still says that it listens
    world.fleet.detach(left.seat)
    waiting = attaching(world, "1x1")
    await world.passes(0.5)
    assert not waiting.done()
    world.host.display(7).drop()
    assert world.dial(await waiting)


async def test_a_desktop_started_for_nobody_is_made_ready_for_its_first_client(
    world: World,
) -> None:
    for _ in range(5):  # more often than a display is started that always fails
        await world.fleet.start(desktop_order(7, user_id=7))
        client = await world.attach(geometry="2x2")
        assert asked(world) == "2x2"
        assert world.dial(client)
        await world.fleet.stop(VM)


async def test_clients_that_never_come_do_not_use_up_the_tries_of_a_display(world: World) -> None:
    for number in range(1, 8):
        client = await world.attach(geometry=f"{number}x1")
        assert asked(world) == f"{number}x1"
        world.fleet.detach(client.seat)
        await world.passes(0.5)
    assert world.host.launches == [7]


async def test_an_adopted_display_that_waits_for_somebody_unknown_is_made_ready(
    world: World,
) -> None:
    await suspended(world)
    await world.attach(geometry="1x1")
    await world.fleet.close(stop_guests=False)
    async with world.node():
        await world.fleet.adopt()
        await settle()
        await world.attach(geometry="1x1")
        assert asked(world) == "1x1"
        assert world.state() is VmState.RUNNING


async def test_a_display_that_cannot_be_dismissed_is_said(world: World) -> None:
    await suspended(world)
    left = await world.attach(geometry="1x1")
    world.fleet.detach(left.seat)
    await world.passes(0.5)
    world.host.failing["dismiss_display"] = HostFailed("no way")
    with pytest.raises(HostFailed):
        await world.attach(geometry="2x2")
    world.host.failing.clear()
    await world.attach(geometry="2x2")


async def test_a_hangup_that_is_lost_is_sent_again(world: World) -> None:
    await suspended(world)
    world.host.display(7).deaf_to = 2
    waiting = attaching(world, "2x2")
    for _ in range(3):
        await world.passes(0.25)
    await waiting
    assert world.host.display(7).hangups == [DisplayState.SUSPENDED] * 3


async def test_a_hangup_that_was_heard_is_not_sent_again(world: World) -> None:
    await suspended(world)
    world.host.display(7).slow = True
    waiting = attaching(world, "2x2")
    await world.passes(5)
    assert world.host.display(7).hangups == [DisplayState.SUSPENDED]
    world.host.display(7).listen()
    await waiting


async def test_a_stop_writes_the_parameters_anew(world: World) -> None:
    await world.connected()
    world.host.folders[VM].params = b"forged"
    held = world.host.held["power_off"] = asyncio.Event()
    stopping = asyncio.get_running_loop().create_task(world.fleet.stop(VM))
    await settle()
    params = world.host.folders[VM].params
    assert params is not None
    assert "LOGIN" in session_params.decode(params)
    held.set()
    await stopping


@pytest.mark.parametrize("step", ["write_params", "run_session"])
async def test_a_stop_whose_script_cannot_be_run_powers_off_all_the_same(
    world: World, step: str
) -> None:
    await world.connected()
    world.host.failing[step] = HostFailed("no room")
    await world.fleet.stop(VM)
    assert world.host.guests == {}
    if step == "write_params":
        assert world.host.sessions[VM] == ["start", "stop"]


async def test_a_resume_with_the_same_parameters_needs_no_script(world: World) -> None:
    await suspended(world)
    verbs = world.host.sessions[VM]
    for geometry, resumes in (("1x1", 1), ("1x1", 1), ("2x2", 2), ("1x1", 3)):
        client = await world.attach(geometry=geometry)
        assert asked(world) == geometry
        assert world.dial(client)
        world.hang_up(client)
        await settle()
        assert verbs.count("resume") == resumes


async def test_after_a_script_that_failed_the_next_resume_runs_it_again(world: World) -> None:
    await suspended(world)
    client = await world.attach(geometry="1x1")
    assert world.dial(client)
    world.hang_up(client)
    await settle()
    world.host.failing["run_session"] = HostFailed("no way")
    with pytest.raises(HostFailed):
        await world.attach(geometry="2x2")
    world.host.failing.clear()
    await world.attach(geometry="1x1")
    assert world.host.sessions[VM].count("resume") == 2


@pytest.mark.parametrize("turns", range(12))
async def test_a_takeover_in_the_midst_of_a_resume_gets_its_own_and_waits_for_nothing(
    world: World, turns: int
) -> None:
    await suspended(world)
    older = attaching(world, "1x1")
    for _ in range(turns):
        await asyncio.sleep(0)
    newer = attaching(world, "2x2")
    await settle()
    assert newer.done()
    assert asked(world) == "2x2"
    assert world.dial(await newer)
    await asyncio.gather(older, return_exceptions=True)
    assert world.state() is VmState.RUNNING


async def test_a_resume_that_fails_leaves_the_desktop_running(world: World) -> None:
    await suspended(world)
    held = world.host.held["run_session"] = asyncio.Event()
    waiting = attaching(world, "1x1")
    await settle()
    world.host.folders[VM].say("Session: Resuming session at 'now'.")  # forged: it does not
    await settle()
    world.host.failing["run_session"] = HostFailed("no way")
    held.set()
    with pytest.raises(HostFailed):
        await waiting
    assert world.state() is VmState.RUNNING
