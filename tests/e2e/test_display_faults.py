"""Clients that fail in the middle of a connect: the next one still finds the same desktop."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest

from tests.e2e.conftest import MakeDesk, Screen
from tests.e2e.guest_processes import guest_pids, kill_in_guest
from tests.e2e.test_desktop import viewing
from tests.harness.farm import Desk, until_vm
from tests.harness.qvd import Viewer
from tests.harness.rest import Rest

pytestmark = pytest.mark.asyncio(loop_scope="session")

WINDOW_S = 30.0
MOMENTS_S = [number * 0.004 for number in range(12)]
"""From the window's map on: nxagent takes about 50 ms more to draw a resumed desktop."""
GREETING = b"NXPROXY-3.5.0-3.5.99 stream=default,data=default "


async def fail(desk: Desk, said: bytes) -> None:
    """Connect, say that much to the display, and vanish."""
    async with desk.dial() as connection:
        answer = await connection.connect(desk.vm_id, link="lan", geometry="640x480")
        assert answer.status == 101, answer
        if said:
            reader, writer = connection.streams
            writer.write(said)
            await writer.drain()
            await asyncio.wait_for(reader.read(64), 30)


async def succeed(desk: Desk, screen: Screen, folder: Path, rest: Rest) -> int:
    """Connect and see the desktop drawn, nothing of it missing; which start of the VM it is."""
    async with desk.dial() as connection:
        answer = await connection.connect(desk.vm_id, link="lan", geometry="640x480")
        assert answer.status == 101, answer
        async with Viewer(connection, screen.display, folder):
            await screen.watcher.drawn(await screen.watcher.wait_new(WINDOW_S), WINDOW_S)
            seen = await until_vm(rest, desk.vm_id, display="connected")
    await until_vm(rest, desk.vm_id, display="suspended")
    return int(seen["generation"])


@pytest.mark.parametrize("said", [b"", GREETING], ids=["silent", "greeting only"])
async def test_a_very_first_client_that_fails_costs_nothing(
    make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path, said: bytes
) -> None:
    desk = await make()
    await fail(desk, said)
    started = int((await until_vm(rest, desk.vm_id, state="running"))["generation"])
    assert await succeed(desk, screen, tmp_path, rest) == started


@pytest.mark.parametrize("said", [b"", GREETING], ids=["silent", "greeting only"])
async def test_a_reconnect_that_fails_keeps_the_session(
    make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path, said: bytes
) -> None:
    desk = await make()
    first = await succeed(desk, screen, tmp_path / "1", rest)
    for _ in range(3):
        await fail(desk, said)
    assert await succeed(desk, screen, tmp_path / "2", rest) == first


async def test_clients_that_vanish_while_their_desktop_is_drawn_lose_nothing(
    make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    first = await succeed(desk, screen, tmp_path / "first", rest)
    for moment in MOMENTS_S:
        async with desk.dial() as connection:
            answer = await connection.connect(desk.vm_id, link="lan", geometry="640x480")
            assert answer.status == 101, answer
            async with Viewer(connection, screen.display, tmp_path / str(moment)) as viewer:
                await screen.watcher.wait_new(WINDOW_S)
                with contextlib.suppress(TimeoutError):  # the moment is what is tried
                    await asyncio.wait_for(viewer.over.wait(), moment)
                connection.abort()
        seen = await until_vm(rest, desk.vm_id, display="suspended")
        assert (seen["generation"], seen["state"]) == (first, "running"), f"lost at {moment:g} s"
    assert await succeed(desk, screen, tmp_path / "last", rest) == first


async def test_many_clients_in_one_moment_leave_one_with_the_desktop(
    make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    first = await succeed(desk, screen, tmp_path / "1", rest)

    async def hurry() -> int:
        async with desk.dial() as connection:
            return (await connection.connect(desk.vm_id, link="lan")).status

    statuses = await asyncio.gather(*(hurry() for _ in range(5)))
    assert 101 in statuses
    assert await succeed(desk, screen, tmp_path / "2", rest) == first


DEATHS = {
    "nxagent": "it or its display crashed",
    "icewm": "it or its display crashed",
    "init": "The guest ended unexpectedly",
}
"""What is killed, and what REST says of the VM then."""
REASONS = {
    "the desktop closed its display",
    "the desktop's display was lost",
    "the guest ended unexpectedly",
}
"""What is said of the session: as a rule its stream breaks before the node knows why."""


@pytest.mark.parametrize("program", DEATHS)
async def test_a_desktop_that_dies_is_shown_as_such(
    make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path, program: str
) -> None:
    desk = await make()
    async with viewing(desk, screen, tmp_path) as (_, viewer):
        await until_vm(rest, desk.vm_id, display="connected")
        if program == "init":
            os.kill(guest_pids(desk)[0], signal.SIGKILL)
        else:
            kill_in_guest(desk, program)
        await asyncio.wait_for(viewer.over.wait(), 30)
    view = await until_vm(rest, desk.vm_id, state="failed", limit_s=30)
    assert DEATHS[program] in view["error"]
    (session,) = (await rest.get(f"/sessions?vm_id={desk.vm_id}"))["items"]
    assert session["reason"] in REASONS
    async with viewing(desk, screen, tmp_path / "again"):
        view = await until_vm(rest, desk.vm_id, state="running")
        assert view["error"] is None
