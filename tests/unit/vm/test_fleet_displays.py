"""Displays that come and go, fall over, or never answer."""

import asyncio

import pytest

from qvdnode.model.errors import FarmError, GuestFailed, HostFailed, TimedOut
from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import DisplayState, VmState
from qvdnode.vm.display.operations import LOG_TAIL_MAX
from tests.fakes.memory_driver import MemoryDriver, MemoryRunFolders
from tests.fakes.orders import desktop_order
from tests.fakes.simulated_nxagent import WAITING
from tests.unit.vm.fleet_world import World, settle

VM = VmId(7)


async def test_a_client_that_leaves_finds_its_session_again(world: World) -> None:
    first = await world.connected()
    world.hang_up(first)
    await settle()
    assert world.display() is DisplayState.SUSPENDED
    again = await world.connected()
    assert world.display() is DisplayState.CONNECTED
    assert world.host.launches == [7]
    assert world.host.display(7).hangups == [DisplayState.SUSPENDED]
    assert again.evicted == []


async def test_clients_that_come_and_go_leave_no_timers_behind(world: World) -> None:
    await world.connected()
    sleeping = []
    for _ in range(3):
        await world.connected()
        sleeping.append(world.clock.sleepers)
    assert sleeping[0] == sleeping[-1]


async def test_of_all_processes_that_a_guest_names_the_last_one_alone_is_watched(
    world: World,
) -> None:
    await world.connected()
    folder = world.host.folders[VM]
    for pid in range(2_000, 2_010):
        folder.display_pid = pid
        for line in ("Session: Session suspended at", WAITING, "Session: Session resumed at"):
            folder.say(line)
        await settle()
    watches = [task for task in asyncio.all_tasks() if task.get_name() == f"vm-{VM}/watch-display"]
    assert len(watches) == 1


async def test_a_desktop_that_never_listens_times_out_and_is_undone(world: World) -> None:
    world.host.silent.add(VM)
    waiting = asyncio.get_running_loop().create_task(world.attach())
    await settle()
    assert world.state() is VmState.BOOTING
    await world.passes(61.0)
    with pytest.raises(TimedOut):
        await waiting
    await settle()
    assert world.leaks() == []


async def test_a_display_that_aborts_before_its_first_client_is_started_again(
    world: World,
) -> None:
    client = await world.attach()
    world.host.display(7).drop()
    world.hang_up(client)
    await settle()
    assert world.state() is VmState.RUNNING
    await world.passes(1.0)
    again = await world.attach()
    assert world.dial(again)
    assert world.host.launches == [7]


async def test_a_display_that_always_aborts_is_given_up(world: World) -> None:
    await world.attach()
    for _ in range(3):
        world.host.display(7).drop()
        await settle()
    await settle()
    assert await world.fleet.status(VM) is None
    assert world.leaks() == []


async def test_a_desktop_that_nobody_visits_waits_quietly(world: World) -> None:
    await world.fleet.start(desktop_order(7, user_id=7))
    await world.passes(600.0)
    assert world.state() is VmState.RUNNING
    assert world.host.sessions == {}, "there is no display that could give up its wait"
    await world.connected()
    assert world.host.sessions[VM] == ["start"]
    assert world.host.launches == [7]


async def test_a_prepared_desktop_is_adopted(world: World) -> None:
    await world.fleet.start(desktop_order(7, user_id=7))
    async with world.node() as fleet:
        await fleet.adopt()
        await settle()
        assert (world.state(), world.display()) == (VmState.RUNNING, DisplayState.OFF)
        await world.connected()
    assert world.host.launches == [7]


async def test_the_display_of_a_client_that_never_dialled_is_left_alone(world: World) -> None:
    client = await world.attach()
    world.hang_up(client)
    await world.passes(60.0)
    world.host.display(7).drop()  # as nxagent does after a minute
    await world.passes(600.0)
    assert world.host.sessions[VM] == ["start"]
    await world.connected()
    assert world.host.launches == [7]


async def test_the_log_of_a_desktop_outlives_it_with_the_reason(world: World) -> None:
    await world.connected()
    world.host.folders[VM].desktop_exit = 127
    world.host.display(7).take(15)
    await world.passes(1.0)
    assert await world.fleet.status(VM) is None
    [past] = await world.fleet.past_starts(VM)
    assert past.failed
    assert "could not be run" in past.reason
    text = await world.fleet.log_tail(VM)
    assert past.reason in text
    assert "Session: Session started" in text
    await world.attach()
    assert "--- now" in await world.fleet.log_tail(VM)


async def test_an_abort_that_log_and_process_both_tell_of_is_one(world: World) -> None:
    first = await world.attach()
    world.host.display(7).drop()
    world.hang_up(first)
    await world.passes(0.5)
    client = await world.connected()
    assert world.host.display(7).pid == world.host.folders[VM].display_pid
    assert client.evicted == []
    assert world.host.sessions[VM] == ["start", "start"]


async def test_an_nxagent_that_crashes_is_noticed_and_the_next_connect_starts_afresh(
    world: World,
) -> None:
    client = await world.connected()
    world.host.display(7).take(9)
    await world.passes(0.2)
    assert client.evicted == ["the desktop ended unexpectedly"]
    assert world.leaks() == []
    assert world.farm.vms[VM].state is VmState.FAILED
    assert "it or its display crashed" in (world.farm.vms[VM].error or "")
    await world.attach()
    assert world.host.launches == [7, 7]


async def test_what_a_lost_desktop_said_last_is_kept(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["much before; "] * 400 + ["the last words"]
    for told in ("".join(words), None):
        await world.connected()

        def tail(*_: object, told: str | None = told) -> str:
            if told is None:
                raise HostFailed("the folder is forged")
            return told

        monkeypatch.setattr(MemoryRunFolders, "log_tail", tail)
        world.host.display(7).take(9)
        await world.passes(0.2)
    first, second = [vars(e) for e in caplog.records if e.getMessage() == "desktop_lost"]
    assert first["log_tail"].endswith("before; the last words")
    assert len(first["log_tail"]) == LOG_TAIL_MAX
    assert second["log_tail"] == "(unreadable: the folder is forged)"


async def test_a_logout_is_no_failure(world: World) -> None:
    client = await world.connected()
    world.host.display(7).take(15)
    await world.passes(0.2)
    assert client.evicted == ["the desktop has ended"]
    row = world.farm.vms[VM]
    assert (row.state, row.error, row.owner) == (VmState.STOPPED, None, None)


async def test_a_display_that_crashes_before_it_listens_is_noticed_at_once(world: World) -> None:
    world.host.silent.add(VM)
    waiting = asyncio.get_running_loop().create_task(world.attach())
    for _ in range(3):
        await settle()
        world.host.display(7).take(9)
        await world.passes(0.2)
    with pytest.raises(GuestFailed, match="before it could be shown"):
        await waiting
    await settle()
    assert world.leaks() == []


async def test_a_display_whose_pid_is_noted_late_is_watched_all_the_same(world: World) -> None:
    world.host.silent.add(VM)
    waiting = asyncio.get_running_loop().create_task(world.attach())
    held = world.host.held["run_session"] = asyncio.Event()
    await settle()
    held.set()
    for _ in range(20):  # as far as the script's end, not further
        await asyncio.sleep(0)
        if VM in world.host.folders and world.host.folders[VM].display_pid:
            break
    pid, world.host.folders[VM].display_pid = world.host.folders[VM].display_pid, None
    await world.passes(0.2)
    world.host.folders[VM].display_pid = pid
    await world.passes(0.2)
    world.host.silent.clear()
    world.host.display(7).take(9)
    await world.passes(0.2)
    await waiting
    assert world.host.sessions[VM] == ["start", "start"]


async def test_an_nxagent_that_is_still_ending_when_it_is_started_again_is_watched(
    world: World,
) -> None:
    client = await world.attach()
    display = world.host.display(7)
    display.lingers = True
    display.drop()
    world.hang_up(client)
    await settle()
    assert world.host.sessions[VM] == ["start", "start"]
    assert world.display() is DisplayState.STARTING
    display.exit()
    await world.passes(0.2)
    assert world.dial(await world.attach())
    assert world.host.launches == [7]


async def test_a_suspended_display_that_is_gone_when_it_is_to_be_resumed_is_replaced(
    world: World,
) -> None:
    world.hang_up(await world.connected())
    await settle()
    world.host.folders[VM].display_pid = None
    assert world.dial(await world.attach())
    assert world.host.launches == [7, 7]


@pytest.mark.parametrize("failure", [HostFailed("no way"), OSError(24, "Too many open files")])
async def test_a_resume_whose_signal_cannot_be_sent_is_said_and_hurts_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    world.hang_up(await world.connected())
    await settle()

    async def signal_display(*_: object) -> bool:
        raise failure

    with monkeypatch.context() as patched:
        patched.setattr(MemoryDriver, "signal_display", signal_display)
        with pytest.raises(HostFailed):
            await world.attach()
    assert world.display() is DisplayState.SUSPENDED
    assert world.dial(await world.attach())
    assert world.host.launches == [7]


async def test_a_display_that_does_not_let_go_in_time_is_said(world: World) -> None:
    first = await world.connected()
    first.on_evict = None
    waiting = asyncio.get_running_loop().create_task(world.attach())
    await world.passes(16.0)
    with pytest.raises(TimedOut):
        await waiting
    assert world.host.display(7).hangups == []


async def test_the_log_of_a_running_desktop_can_be_read(world: World) -> None:
    await world.attach()
    assert "Waiting for connection" in await world.fleet.log_tail(VM)
    with pytest.raises(FarmError):
        await world.fleet.log_tail(VmId(8))
