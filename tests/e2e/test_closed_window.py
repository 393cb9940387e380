"""Closing the window of a desktop lets go of it: no more, no less."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from qvdnode.host import process
from qvdnode.host.child import Child
from qvdnode.model.errors import HostFailed
from tests.e2e.conftest import MakeDesk, Screen
from tests.e2e.guest_processes import pids_by_name
from tests.e2e.test_desktop import open_window, session_programs
from tests.harness.farm import PASSWORD, Desk, until_vm
from tests.harness.qvd import Viewer
from tests.harness.rest import Rest
from tests.integration.client.x_client import XClient
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

WINDOW_S = 60.0
WINDOW = re.compile(r'(0x[0-9a-f]+) "QVD": \("NXAgent" "NXAgent"\)')


async def window_on(display: str) -> int | None:
    """The desktop's own window, inside the window manager's frame; None if there is none."""
    while True:
        try:
            listing = await process.run(["xwininfo", "-root", "-tree", "-display", display])
        except HostFailed as error:
            if "X Error" not in str(error):
                raise
            continue  # another window went away while it was listed
        found = WINDOW.search(listing.stdout.decode(errors="replace"))
        return int(found[1], 16) if found else None


async def close_window(display: str, times: int = 1) -> None:
    """Close the desktop's window as a person does, perhaps impatiently."""
    window = await window_on(display)
    assert window is not None
    with XClient(display) as client:
        for _ in range(times):
            client.ask_to_close(window)


async def gone(display: str) -> bool:
    """Whether the window is no more."""
    return await window_on(display) is None


@asynccontextmanager
async def qvd_connect(
    desk: Desk, display: str, folder: Path, *, pass_fds: Sequence[int] = ()
) -> AsyncIterator[tuple[Child, Path]]:
    """Our client showing the desktop, and what it says."""
    password, said = folder / "password", folder / "said"
    password.write_text(PASSWORD)
    with said.open("wb") as output:
        child = await process.launch(
            [
                sys.executable, "-c", "from qvdnode.cli.qvd.program import main; main()", "connect",
                f"127.0.0.1:{desk.node.client_port}", "--user", desk.login, "--insecure",
                "--password-file", password, "--display", display, "--geometry", "800x600",
            ],
            output=output,
            env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
            pass_fds=pass_fds,
        )  # fmt: skip
    try:
        yield child, said
    finally:
        await process.end(child)


async def test_closing_the_window_leaves_the_desktop_running(
    make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    async with qvd_connect(desk, screen.display, tmp_path) as (client, said):
        first = await until_vm(rest, desk.vm_id, display="connected")
        opened = await open_window(desk)
        await close_window(screen.display)
        await until(lambda: gone(screen.display), limit_s=30, what="the window to go")
        assert await asyncio.wait_for(client.wait(), 30) == 0
    told = said.read_text()
    assert told.count("Connecting to") == 1, told  # it was not a dropped link, so it dialled once
    assert "The window was closed" in told or "The session ended" in told
    await until_vm(rest, desk.vm_id, state="running", display="suspended", viewer=False)
    async with desk.dial() as connection:
        answer = await connection.connect(desk.vm_id, link="lan", geometry="800x600")
        assert answer.status == 101, answer
        async with Viewer(connection, screen.display, tmp_path):
            second = await until_vm(rest, desk.vm_id, display="connected")
            assert session_programs(desk) == opened
    assert second["generation"] == first["generation"]


async def test_closing_it_again_and_again_suspends_once(
    make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    for round_ in range(3):
        async with desk.dial() as connection:
            answer = await connection.connect(desk.vm_id, link="lan", geometry="800x600")
            assert answer.status == 101, answer
            async with Viewer(connection, screen.display, tmp_path / str(round_)) as viewer:
                # An nxagent on which no program has come up yet would end.
                await screen.watcher.drawn(await screen.watcher.wait_new(WINDOW_S), WINDOW_S)
                await until_vm(rest, desk.vm_id, display="connected")
                await close_window(screen.display, times=5)
                await asyncio.wait_for(viewer.over.wait(), 30)
        await until_vm(rest, desk.vm_id, state="running", display="suspended", generation=1)
        assert pids_by_name(desk, {"nx-dialog"}) == {}
