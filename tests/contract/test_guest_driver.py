"""What a GuestDriver promises, for every driver. A new one gets an entry in KITS."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace

import pytest

from qvdnode.daemon.drivers import DRIVERS
from qvdnode.model.guest import GuestSpec, IdRange, LimitEvents
from qvdnode.model.ids import VmId
from qvdnode.vm.core.display import DisplayEvent
from qvdnode.vm.guest_driver import GuestDriver
from qvdnode.vm.ports import RunFolders
from qvdnode.wire import session_params
from qvdnode.wire.session_exit import SessionExit
from tests.fakes.memory_driver import MemoryDriver, MemoryHost, MemoryRunFolders, memory_spec
from tests.fixtures_guest import RealGuests
from tests.waiting import until

LIMIT_S = 60.0
PORT = 4100
PARAMS = {"LOGIN": "alice", "GEOMETRY": "800x600", "LINK": "lan", "CUSTOM_greeting": "good day"}


@dataclass
class Kit:
    """A driver, its run folders, and specs that it can launch."""

    driver: GuestDriver
    folders: RunFolders
    new_spec: Callable[[int], Awaitable[GuestSpec]]
    limit_s: float = LIMIT_S

    async def listening(self, spec: GuestSpec) -> int:
        """Launch with a display that listens; the display's guest pid."""
        await self.driver.launch(spec)
        self.folders.write_params(spec.vm_id, session_params.encode(PARAMS))
        heard: list[DisplayEvent] = []

        def hear(events: Sequence[DisplayEvent]) -> None:
            heard.extend(events)

        end = self.folders.follow(spec.vm_id, hear)
        try:
            code = await self.driver.run_session(spec, "start", limit_s=self.limit_s)
            assert code == SessionExit.DONE
            await until(
                lambda: DisplayEvent.LISTENS in heard,
                limit_s=self.limit_s,
                what="the display to listen",
            )
        finally:
            end()
        pid = self.folders.display_pid(spec.vm_id)
        assert pid is not None
        return pid


def memory_kit(_: pytest.FixtureRequest) -> Kit:
    host = MemoryHost()
    folders = MemoryRunFolders(host)

    async def new_spec(number: int) -> GuestSpec:
        await folders.create(VmId(number), IdRange(0x7000_0000))
        return memory_spec(number)

    return Kit(MemoryDriver(host, prefix="qvd"), folders, new_spec)


def lxc_kit(request: pytest.FixtureRequest) -> Kit:
    guests = request.getfixturevalue("real_guests")
    assert isinstance(guests, RealGuests)
    return Kit(guests.driver, guests.run_folders, guests.spec)


def docker_kit(request: pytest.FixtureRequest) -> Kit:
    guests = request.getfixturevalue("docker_guests")
    assert isinstance(guests, RealGuests)
    return Kit(guests.driver, guests.run_folders, guests.spec)


def kvm_kit(request: pytest.FixtureRequest) -> Kit:
    guests = request.getfixturevalue("real_machines")
    assert isinstance(guests, RealGuests)
    return Kit(guests.driver, guests.run_folders, guests.spec, limit_s=90.0)


KITS: dict[str, tuple[Callable[[pytest.FixtureRequest], Kit], tuple[pytest.MarkDecorator, ...]]] = {
    "memory": (memory_kit, ()),
    "lxc": (lxc_kit, (pytest.mark.lxc, pytest.mark.nx)),
    "docker": (docker_kit, (pytest.mark.docker, pytest.mark.nx)),
    "kvm": (kvm_kit, (pytest.mark.kvm, pytest.mark.nx, pytest.mark.timeout(240))),
}
"""Every driver, the fake of unit tests among them, with the marks of its tests."""


@pytest.fixture(params=[pytest.param(name, marks=marks) for name, (_, marks) in KITS.items()])
def kit(request: pytest.FixtureRequest) -> Kit:
    make, _ = KITS[request.param]
    return make(request)


def test_every_driver_of_the_program_is_held_to_the_contract() -> None:
    assert set(DRIVERS) <= set(KITS)


async def test_a_driver_that_can_start_guests_says_so(kit: Kit) -> None:
    found = await kit.driver.check()
    assert found.problem is None
    assert found.version


async def test_a_launched_guest_is_found_and_a_killed_one_is_not(kit: Kit) -> None:
    spec = await kit.new_spec(1)
    assert await kit.driver.find(spec) is None
    process = await kit.driver.launch(spec)
    assert await kit.driver.find(spec) == process
    await kit.driver.kill(spec)
    assert await kit.driver.find(spec) is None
    await kit.driver.kill(spec)


async def test_its_end_is_seen(kit: Kit) -> None:
    spec = await kit.new_spec(1)
    process = await kit.driver.launch(spec)
    async with asyncio.timeout(kit.limit_s), asyncio.TaskGroup() as group:
        watching = group.create_task(kit.driver.wait_exit(process))
        await asyncio.sleep(0)
        assert not watching.done()
        await kit.driver.kill(spec)
    await kit.driver.wait_exit(process)


async def test_it_ends_when_it_is_asked_to(kit: Kit) -> None:
    spec = await kit.new_spec(1)
    process = await kit.driver.launch(spec)

    async def gone_when_asked() -> bool:
        # A PID 1 that has only just begun ignores the first time.
        await kit.driver.power_off(spec)
        return await kit.driver.find(spec) is None

    await until(gone_when_asked, limit_s=kit.limit_s)
    await kit.driver.wait_exit(process)
    await kit.driver.power_off(spec)
    await kit.driver.kill(spec)


async def test_it_may_be_launched_again_after_its_end(kit: Kit) -> None:
    spec = await kit.new_spec(1)
    first = await kit.driver.launch(spec)
    await kit.driver.kill(spec)
    second = await kit.driver.launch(spec)
    assert second != first
    assert await kit.driver.find(spec) == second


async def test_the_display_listens_is_signalled_and_its_end_is_seen(kit: Kit) -> None:
    spec = await kit.new_spec(1)
    pid = await kit.listening(spec)
    async with asyncio.timeout(kit.limit_s), asyncio.TaskGroup() as group:
        watching = group.create_task(kit.driver.wait_display(spec, pid))
        await asyncio.sleep(0)
        assert not watching.done()
        assert await kit.driver.signal_display(spec, pid, signal.SIGKILL)
    await kit.driver.wait_display(spec, pid)
    assert not await kit.driver.signal_display(spec, pid, signal.SIGHUP)


async def test_a_signal_is_sent_before_the_driver_waits_for_anything(kit: Kit) -> None:
    spec = await kit.new_spec(1)
    pid = await kit.listening(spec)
    sending = kit.driver.signal_display(spec, pid, signal.SIGKILL)
    assert isinstance(sending, Coroutine)
    with contextlib.suppress(StopIteration):
        sending.send(None)  # as far as its first suspension, and never further
    sending.close()
    async with asyncio.timeout(kit.limit_s):
        await kit.driver.wait_display(spec, pid)


async def test_a_display_that_waits_for_its_first_client_ends_when_it_is_dismissed(
    kit: Kit,
) -> None:
    spec = await kit.new_spec(1)
    pid = await kit.listening(spec)
    async with asyncio.timeout(kit.limit_s):
        await kit.driver.dismiss_display(spec, PORT)
        await kit.driver.wait_display(spec, pid)
    await kit.driver.dismiss_display(spec, PORT)


async def test_a_display_that_runs_is_not_started_twice(kit: Kit) -> None:
    spec = await kit.new_spec(1)
    await kit.listening(spec)
    assert (
        await kit.driver.run_session(spec, "start", limit_s=kit.limit_s)
        == SessionExit.ALREADY_RUNNING
    )
    assert (
        await kit.driver.run_session(spec, "resume", limit_s=kit.limit_s)
        == SessionExit.OPTIONS_HOLD
    )


async def test_the_session_script_says_what_is_wrong(kit: Kit) -> None:
    spec = await kit.new_spec(1)
    await kit.driver.launch(spec)
    assert (
        await kit.driver.run_session(spec, "start", limit_s=kit.limit_s)
        == SessionExit.BAD_PARAMETERS
    )
    kit.folders.write_params(spec.vm_id, session_params.encode(PARAMS))
    assert (
        await kit.driver.run_session(spec, "resume", limit_s=kit.limit_s) == SessionExit.NOT_RUNNING
    )
    assert (
        await kit.driver.run_session(spec, "dance", limit_s=kit.limit_s) == SessionExit.UNKNOWN_VERB
    )


@pytest.mark.parametrize("pid", [1, 4_000_000])
async def test_only_processes_of_the_guest_are_signalled(kit: Kit, pid: int) -> None:
    spec = await kit.new_spec(1)
    process = await kit.driver.launch(spec)
    assert not await kit.driver.signal_display(spec, pid, signal.SIGKILL)
    assert await kit.driver.find(spec) == process


async def test_its_memory_is_told(kit: Kit) -> None:
    spec = await kit.new_spec(1)
    await kit.driver.launch(spec)
    memory = await kit.driver.memory(spec)
    assert 0 < memory.used_bytes < memory.limit_bytes == 512 * 1024 * 1024


async def test_a_guest_at_rest_has_met_no_limit(kit: Kit) -> None:
    spec = await kit.new_spec(1)
    assert kit.driver.limit_events(spec) == LimitEvents(0, 0)
    await kit.driver.launch(spec)
    assert kit.driver.limit_events(spec) == LimitEvents(0, 0)


async def test_a_sweep_ends_those_that_nobody_knows(kit: Kit) -> None:
    known, stranger = await kit.new_spec(1), await kit.new_spec(2)
    process = await kit.driver.launch(known)
    await kit.driver.launch(stranger)
    assert list(await kit.driver.sweep([known.name])) == [stranger.name]
    assert await kit.driver.find(stranger) is None
    assert await kit.driver.find(known) == process


async def test_what_never_ran_can_be_asked_about(kit: Kit) -> None:
    spec = replace(await kit.new_spec(1), name="nobody-1")
    assert await kit.driver.find(spec) is None
    assert not await kit.driver.signal_display(spec, 5, signal.SIGHUP)
    await kit.driver.power_off(spec)
    await kit.driver.kill(spec)
