"""Limits that guests reach: counted, logged, kept with the start, and told to the user."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from qvdnode.model.errors import GuestFailed, HostFailed
from qvdnode.model.guest import EndCause, FreeSpace, GuestFault, LimitEvents
from qvdnode.model.ids import VmId
from qvdnode.vm.core.guest_limits import TRIES, GuestLimit, LimitReached
from qvdnode.wire.session_exit import SessionExit
from tests.unit.vm.fleet_world import World, settle

VM = VmId(7)
BECAUSE = EndCause(GuestFault.PANIC, "its kernel panicked (for a test)")
KILLED = LimitEvents(killed=1, forks_refused=0)


@pytest_asyncio.fixture
async def watched(world: World) -> AsyncIterator[World]:
    """A node that measures its guests."""
    task = asyncio.get_running_loop().create_task(world.fleet.watch_limits())
    yield world
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def measured(world: World, times: int = 1) -> None:
    """Let the node measure that often; a thread of its own does."""
    for _ in range(times):
        await settle()
        world.clock.advance(world.fleet._dependencies.settings.limits_every_s)
        for _ in range(20):
            await settle()
            await asyncio.to_thread(lambda: None)
        await settle()


def limits(world: World) -> list[LimitReached]:
    status = world.status()
    assert status is not None
    return list(status.limits)


async def test_a_guest_that_reaches_a_limit_is_logged_shown_and_told(
    watched: World, caplog: pytest.LogCaptureFixture
) -> None:
    await watched.connected()
    watched.host.guest(VM).limit_events = KILLED
    with caplog.at_level(logging.WARNING):
        await measured(watched, 3)
    assert limits(watched) == [LimitReached(GuestLimit.MEMORY, 1, limits(watched)[0].at)]
    assert limits(watched)[0].at is not None
    events = [record for record in caplog.records if record.message == "guest_limit_reached"]
    assert [(event.vm, event.limit) for event in events] == [(VM, "memory")]  # type: ignore[attr-defined]  # extra fields
    assert watched.host.sessions[VM].count("notify") == 1
    assert b"memory" in watched.host.folders[VM].notice


async def test_each_full_disk_is_told(watched: World) -> None:
    await watched.connected()
    watched.rootfs.free = FreeSpace(0, 0)
    await measured(watched, 3)
    assert [one.limit for one in limits(watched)] == [GuestLimit.DISK, GuestLimit.HOME]
    assert watched.host.sessions[VM].count("notify") == 2


async def test_what_the_user_cannot_be_told_now_is_told_later(watched: World) -> None:
    await watched.connected()
    watched.host.failing["run_session"] = GuestFailed("no pid is free", step="session")
    watched.host.guest(VM).limit_events = LimitEvents(killed=0, forks_refused=3)
    await measured(watched, 2)
    assert "notify" not in watched.host.sessions[VM]
    del watched.host.failing["run_session"]
    await measured(watched, 2)
    assert watched.host.sessions[VM].count("notify") == 1


async def test_a_script_that_cannot_fork_is_run_again(watched: World) -> None:
    """Its shell ends with the code for a verb that it does not know."""
    await watched.connected()
    watched.host.exit_codes["notify"] = SessionExit.UNKNOWN_VERB
    watched.host.guest(VM).limit_events = LimitEvents(killed=0, forks_refused=3)
    await measured(watched, 3)
    assert watched.host.sessions[VM].count("notify") == 3
    del watched.host.exit_codes["notify"]
    await measured(watched, 3)
    assert watched.host.sessions[VM].count("notify") == 4


async def test_a_desktop_without_a_display_is_not_told_for_ever(watched: World) -> None:
    await watched.connected()
    watched.host.guest(VM).limit_events = KILLED
    watched.host.guest(VM).display = None
    await measured(watched, TRIES + 3)
    assert watched.host.sessions[VM].count("notify") == TRIES


async def test_a_guest_that_cannot_be_measured_is_measured_later(watched: World) -> None:
    await watched.connected()
    watched.host.guest(VM).limit_events = KILLED
    watched.host.failing["limit_events"] = HostFailed("too many open files")
    await measured(watched)
    assert limits(watched) == []
    del watched.host.failing["limit_events"]
    await measured(watched)
    assert [one.limit for one in limits(watched)] == [GuestLimit.MEMORY]


async def test_what_a_start_reached_is_kept_when_it_is_over(watched: World) -> None:
    await watched.connected()
    watched.host.guest(VM).limit_events = KILLED
    await measured(watched)
    await watched.fleet.stop(VM)
    await settle()
    (past,) = await watched.fleet.past_starts(VM)
    assert [one.limit for one in past.limits] == [GuestLimit.MEMORY]


async def test_a_guest_that_hangs_is_told(watched: World, caplog: pytest.LogCaptureFixture) -> None:
    await watched.connected()
    watched.host.guest(VM).limit_events = LimitEvents(0, 0, hangs=1)
    with caplog.at_level(logging.WARNING):
        await measured(watched, 2)
    assert [one.limit for one in limits(watched)] == [GuestLimit.HANG]
    assert "guest_limit_reached" in [record.message for record in caplog.records]


@pytest.mark.parametrize("answers", [True, False])
async def test_why_a_guest_ended_is_told_where_it_is_known(
    world: World, caplog: pytest.LogCaptureFixture, answers: bool
) -> None:
    await world.connected()
    world.host.end_causes[VM] = BECAUSE
    if not answers:
        world.host.failing["end_cause"] = HostFailed("its console cannot be read")
    with caplog.at_level(logging.INFO):
        world.host.exit(VM)
        await settle()
    (past,) = await world.fleet.past_starts(VM)
    assert (BECAUSE.because in past.reason) is answers
    told = [record for record in caplog.records if record.message == "guest_fault"]
    assert len(told) == answers
