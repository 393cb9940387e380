"""The node is killed under its desktops and started again."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from qvdnode.host import process
from qvdnode.host.id_reservations import holder_of
from tests.e2e.conftest import MakeDesk, Screen
from tests.e2e.guest_processes import guest_pids
from tests.e2e.test_desktop import WINDOW_S, open_window, session_programs, viewing
from tests.harness.farm import PASSWORD, Desk, until_vm
from tests.harness.host_traces import traces
from tests.harness.node import NodeProcess
from tests.waiting import until

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
        await asyncio.wait_for(viewer.over.wait(), 30)
    assert guest_pids(desk)[0] == first
    assert holder_of(node.ids) == str(node.state_dir), "another node could take the guest's ids"
    await node.start()
    async with viewing(desk, screen, tmp_path), node.rest() as rest:
        view = await until_vm(rest, desk.vm_id, display="connected")
        assert view["generation"] == 1
    assert guest_pids(desk)[0] == first


NO_INOTIFY = """
#include <errno.h>
int inotify_init1(int flags) { (void)flags; errno = EMFILE; return -1; }
"""


async def test_desktops_outlive_a_restart_of_the_node_on_a_host_without_inotify(
    node: NodeProcess,
    make: MakeDesk,
    screen: Screen,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, library = tmp_path / "none.c", tmp_path / "none.so"
    source.write_text(NO_INOTIFY)
    await process.run(["tcc", "-shared", "-o", library, source])
    desk, later = await make(), await make()
    async with viewing(desk, screen, tmp_path / "first"), node.rest() as rest:
        # nxagent ends by itself when it loses its very first client before that was greeted.
        await until_vm(rest, desk.vm_id, display="connected")
        first = guest_pids(desk)[0]
        await node.sigkill()
    try:
        with monkeypatch.context() as without:
            without.setenv("LD_PRELOAD", str(library))
            await node.start()
        async with viewing(desk, screen, tmp_path / "again"), node.rest() as rest:
            view = await until_vm(rest, desk.vm_id, state="running", display="connected")
            assert view["generation"] == 1
            assert await rest.metric("qvdnode_polled_folders") >= 1
            async with viewing(later, screen, tmp_path / "later"):
                await until_vm(rest, later.vm_id, state="running", display="connected")
        assert guest_pids(desk)[0] == first
    finally:
        await node.stop()
        await node.start()


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
        view = await until_vm(rest, desk.vm_id, state="failed")
        assert "while no node ran" in view["error"]
    async with viewing(desk, screen, tmp_path), node.rest() as rest:
        view = await until_vm(rest, desk.vm_id, display="connected")
        assert (view["generation"], view["error"]) == (2, None)


MOMENTS = ("mounting", "launching")
"""Of a start: before the node has noted anything of it, and before it knows the guest's PID 1."""
TRIES = 6


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_node_killed_in_the_middle_of_a_start_leaves_nothing_of_it(
    node: NodeProcess, make: MakeDesk, screen: Screen, tmp_path: Path, moment: str
) -> None:
    before = things(node)
    desk = await killed_while(node, make, moment)
    await node.start()
    async with node.rest() as rest:
        await until_vm(rest, desk.vm_id, state="stopped")
        await until(lambda: things(node) <= before, what=f"{things(node) - before} to be gone")
        async with viewing(desk, screen, tmp_path):
            view = await until_vm(rest, desk.vm_id, state="running", display="connected")
        assert (view["generation"], view["error"]) == (2, None)


def things(node: NodeProcess) -> set[str]:
    """What guests of the node have on the host."""
    return {trace for trace in traces(node) if not trace.startswith(("process", "record"))}


async def killed_while(node: NodeProcess, make: MakeDesk, moment: str) -> Desk:
    """The desk whose start the node was killed in, in that very moment."""
    for _ in range(TRIES):
        desk = await make()
        async with desk.dial() as connection:
            asking = asyncio.ensure_future(connection.connect(desk.vm_id))
            try:
                if await killed_at(desk, MOMENTS.index(moment)):
                    return desk
            finally:
                await asyncio.gather(asking, return_exceptions=True)
        async with node.rest() as rest:
            await rest.post(f"/vms/{desk.vm_id}/stop?wait=true")
    raise AssertionError(f"the node was never caught {moment}")


async def killed_at(desk: Desk, wanted: int) -> bool:
    """Kill the node in that phase of the desk's start; False, and it lives, when it was missed."""
    running = desk.node.process
    assert running is not None
    await until(lambda: phase(desk) >= wanted, limit_s=30)
    running.send_signal(signal.SIGSTOP)
    if phase(desk) == wanted:
        await desk.node.sigkill()
        return True
    running.send_signal(signal.SIGCONT)
    return False


def phase(desk: Desk) -> int:
    """Which of the moments a start has come to, -1 for none yet, their number for past all."""
    record = desk.node.state_dir / "state" / f"{desk.vm_id}.json"
    if record.exists():
        return 2 if json.loads(record.read_text())["process"] else 1
    return 0 if (desk.node.state_dir / "vms" / str(desk.vm_id)).exists() else -1
