"""The node is killed under its desktops and started again."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from qvdnode.host.id_claims import holder_of
from tests.e2e.conftest import MakeDesk, Screen
from tests.e2e.guest_processes import guest_pids
from tests.e2e.test_desktop import WINDOW_S, open_window, session_programs, viewing
from tests.harness.farm import PASSWORD, Desk, until_vm
from tests.harness.node import NodeProcess

pytestmark = pytest.mark.asyncio(loop_scope="session")

DESKTOPS = 20
WITH_WINDOWS = 3
"""Of those, desktops on which the user has opened something."""


@pytest.mark.timeout(300)
async def test_twenty_desktops_outlive_a_killed_node_and_their_clients_return(
    node: NodeProcess, make: MakeDesk, screen: Screen, tmp_path: Path
) -> None:
    desks = [await make() for _ in range(DESKTOPS)]
    async with AsyncExitStack() as clients:
        for desk in desks:
            await clients.enter_async_context(viewing(desk, screen, tmp_path / desk.login))
        windows = {desk.vm_id: await open_window(desk) for desk in desks[:WITH_WINDOWS]}
        before = {desk.vm_id: guest_pids(desk) for desk in desks}
        assert all(before.values())
        await node.sigkill()
    await node.start()
    assert {desk.vm_id: guest_pids(desk)[0] for desk in desks} == {
        vm_id: pids[0] for vm_id, pids in before.items()
    }
    async with AsyncExitStack() as clients, node.rest() as rest:
        for desk in desks:
            await clients.enter_async_context(viewing(desk, screen, tmp_path / desk.login))
        for desk in desks:
            view = await until_vm(rest, desk.vm_id, state="running", display="connected")
            assert view["generation"] == 1
        after = {desk.vm_id: set(guest_pids(desk)) for desk in desks}
        for vm_id, pids in before.items():
            assert desktop_programs(pids) <= after[vm_id], "a program of the desktop was lost"
        for desk in desks[:WITH_WINDOWS]:
            assert session_programs(desk) == windows[desk.vm_id], "a window was lost"


def desktop_programs(pids: list[int]) -> set[int]:
    """Those of the processes that live on through a suspend: init, nxagent, the window manager."""
    kept = set()
    for pid in pids:
        name = Path(f"/proc/{pid}/comm")
        if name.exists() and name.read_text().strip() in {"nxagent", "icewm", "icewm-session"}:
            kept.add(pid)
    assert kept
    return kept


async def test_a_graceful_stop_leaves_desktops_running_too(
    node: NodeProcess, make: MakeDesk, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    async with viewing(desk, screen, tmp_path) as (_, viewer):
        first = guest_pids(desk)[0]
        assert await node.stop() == 0
        await asyncio.wait_for(viewer.over.wait(), 10)
    assert guest_pids(desk)[0] == first
    assert holder_of(node.ids) == str(node.state_dir), "another node could take the guest's ids"
    await node.start()
    async with viewing(desk, screen, tmp_path), node.rest() as rest:
        view = await until_vm(rest, desk.vm_id, display="connected")
        assert view["generation"] == 1
    assert guest_pids(desk)[0] == first


async def test_our_client_comes_back_by_itself_after_a_restart_of_the_node(
    node: NodeProcess, make: MakeDesk, screen: Screen
) -> None:
    desk = await make()
    node.settings["clients"] = {"port": node.client_port}
    async with our_client(node, desk, screen.display) as client:
        await screen.watcher.wait_new(WINDOW_S)
        first = guest_pids(desk)[0]
        assert await node.stop() == 0
        await node.start()
        await screen.watcher.wait_new(WINDOW_S)
        async with node.rest() as rest:
            view = await until_vm(rest, desk.vm_id, state="running", display="connected")
        assert view["generation"] == 1
        assert guest_pids(desk)[0] == first
        assert client.returncode is None


@asynccontextmanager
async def our_client(
    node: NodeProcess, desk: Desk, display: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m qvdnode.client`, showing the desk's desktop; ended at the end."""
    assert node.said is not None
    client = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "qvdnode.client", f"127.0.0.1:{node.client_port}"),
        *("--user", desk.login, "--pin", node.said.fingerprint, "--display", display),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        assert client.stdin is not None
        client.stdin.write(f"{PASSWORD}\n".encode())
        yield client
    finally:
        if client.returncode is None:
            client.terminate()
        await client.wait()


async def test_a_guest_that_ended_while_no_node_watched_is_set_right(
    node: NodeProcess, make: MakeDesk, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    async with viewing(desk, screen, tmp_path):
        pass
    await node.sigkill()
    os.kill(guest_pids(desk)[0], signal.SIGKILL)
    await node.start()
    async with node.rest() as rest:
        await until_vm(rest, desk.vm_id, state="stopped")
    async with viewing(desk, screen, tmp_path), node.rest() as rest:
        view = await until_vm(rest, desk.vm_id, display="connected")
        assert view["generation"] == 2
