"""A user's day: connect, see the desktop, lose the link, come back, change places, stop."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.e2e.conftest import MakeDesk, Screen
from tests.e2e.guest_processes import in_guest, kill_in_guest, pids_by_name
from tests.harness.farm import Desk, until_vm
from tests.harness.qvd import QvdConnection, Viewer
from tests.harness.rest import Rest
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

WINDOW_S = 60.0


@asynccontextmanager
async def viewing(
    desk: Desk, screen: Screen, folder: Path, **params: str
) -> AsyncIterator[tuple[QvdConnection, Viewer]]:
    """The desk's desktop shown on the screen."""
    async with desk.dial() as connection:
        answer = await connection.connect(desk.vm_id, link="lan", geometry="800x600", **params)
        assert answer.status == 101, answer
        async with Viewer(connection, screen.display, folder) as viewer:
            await screen.watcher.wait_new(WINDOW_S)
            yield connection, viewer


def session_programs(desk: Desk) -> dict[str, int]:
    """What lives as long as the session of the display, a window of the user's included."""
    return pids_by_name(desk, {"nxagent", "icewm", "xterm", "tail"})


async def all_of_session(desk: Desk) -> dict[str, int]:
    """The same, once all of them are there."""
    await until(lambda: len(session_programs(desk)) == 4, limit_s=WINDOW_S, what="the session")
    return session_programs(desk)


async def open_window(desk: Desk) -> dict[str, int]:
    """Open a window on the desktop; the session's programs with it."""
    in_guest(desk, "DISPLAY=:100 setsid xterm -e tail -f /dev/null >/dev/null 2>&1 &")
    return await all_of_session(desk)


async def test_a_stopped_desktop_starts_and_is_shown(
    make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    async with desk.dial() as connection:
        entries = await connection.ask("/qvd/list_of_vm?")
        assert entries.status == 200
        assert f'"id": {desk.vm_id}' in entries.body.decode()
        answer = await connection.connect(desk.vm_id, link="lan", geometry="800x600")
        assert answer.status == 101
        assert len(answer.headers["X-QVD-Slave-Key"]) == 64
        assert any("Starting virtual machine" in said for said in answer.progress), answer.progress
        async with Viewer(connection, screen.display, tmp_path):
            window = await screen.watcher.wait_new(WINDOW_S)
            picture = await screen.watcher.drawn(window, WINDOW_S)
            assert picture.startswith(b"\x89PNG")
            await until_vm(rest, desk.vm_id, state="running", display="connected")
    await until_vm(rest, desk.vm_id, state="running", display="suspended")


async def test_a_reconnect_finds_the_windows_it_left(
    make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    async with viewing(desk, screen, tmp_path):
        first = await until_vm(rest, desk.vm_id, display="connected")
        opened = await open_window(desk)
    await until_vm(rest, desk.vm_id, display="suspended")
    async with viewing(desk, screen, tmp_path):
        second = await until_vm(rest, desk.vm_id, display="connected")
        assert session_programs(desk) == opened
    assert first["generation"] == second["generation"]


async def test_the_newest_connection_takes_over(
    make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    async with viewing(desk, screen, tmp_path / "old") as (_, old):
        before = await until_vm(rest, desk.vm_id, display="connected")
        opened = await open_window(desk)
        async with viewing(desk, screen, tmp_path / "new") as (_, new):
            await asyncio.wait_for(old.over.wait(), 30)
            after = await until_vm(rest, desk.vm_id, display="connected")
            assert not new.over.is_set()
            assert session_programs(desk) == opened
    assert before["generation"] == after["generation"]


async def test_two_clients_in_the_same_moment_start_one_guest(make: MakeDesk, rest: Rest) -> None:
    desk = await make()
    async with desk.dial() as one, desk.dial() as two:
        answers = await asyncio.gather(one.connect(desk.vm_id), two.connect(desk.vm_id))
        assert 101 in {answer.status for answer in answers}
        assert {answer.status for answer in answers} <= {101, 503}
        view = await until_vm(rest, desk.vm_id, state="running")
        assert view["generation"] == 1


async def test_stop_vm_ends_the_desktop(
    make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    async with viewing(desk, screen, tmp_path) as (_, viewer), desk.dial() as other:
        answer = await other.ask(f"/qvd/stop_vm?id={desk.vm_id}")
        assert (answer.status, answer.body) == (200, b"Machine stopped\r\n")
        await asyncio.wait_for(viewer.over.wait(), 30)
    await until_vm(rest, desk.vm_id, state="stopped")


async def test_a_session_is_restarted_on_one_connection(make: MakeDesk, rest: Rest) -> None:
    desk = await make()
    async with desk.dial() as connection:
        assert (await connection.connect(desk.vm_id)).status == 101
    async with desk.dial() as connection:
        stopped = await connection.ask(
            f"/qvd/stop_vm?id={desk.vm_id}", "Connection: Upgrade", "Upgrade: QVD/1.0"
        )
        assert (stopped.status, stopped.body) == (200, b"Machine stopped\r\n")
        assert (await connection.connect(desk.vm_id)).status == 101
        view = await until_vm(rest, desk.vm_id, state="running")
        assert view["generation"] == 2


async def test_a_logout_is_noticed_and_the_next_connect_starts_afresh(
    make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    async with viewing(desk, screen, tmp_path) as (_, viewer):
        view = await until_vm(rest, desk.vm_id, display="connected")
        kill_in_guest(desk, "icewm", signal.SIGTERM)
        await asyncio.wait_for(viewer.over.wait(), 30)
    await until_vm(rest, desk.vm_id, state="stopped", error=None, limit_s=30)
    async with viewing(desk, screen, tmp_path):
        again = await until_vm(rest, desk.vm_id, display="connected")
    assert again["generation"] == view["generation"] + 1


async def test_what_is_in_the_home_folder_is_kept(make: MakeDesk, rest: Rest) -> None:
    desk = await make()
    async with desk.dial() as connection:
        assert (await connection.connect(desk.vm_id)).status == 101
    in_guest(desk, "echo a letter > $HOME/kept.txt; echo a draft > /var/tmp/lost.txt")
    await rest.post(f"/vms/{desk.vm_id}/stop?wait=true")
    async with desk.dial() as connection:
        assert (await connection.connect(desk.vm_id)).status == 101
    assert in_guest(desk, "cat $HOME/kept.txt") == "a letter\n"
    assert in_guest(desk, "ls /var/tmp") == ""
