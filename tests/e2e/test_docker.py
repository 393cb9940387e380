"""A user's day on a Docker engine: the desktop is shown, left, adopted, and starts anew."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.conftest import ENGINE_RUNTIME, ENGINE_SOCKET, Screen
from tests.e2e.guest_processes import guest_pids, in_guest, in_guest_as_root
from tests.e2e.test_desktop import WINDOW_S, open_window, session_programs, viewing
from tests.harness.engine import DockerEngine
from tests.harness.farm import Desk, make_desk, make_flavour, until_vm
from tests.harness.node import NodeProcess
from tests.harness.qvd import Viewer
from tests.harness.rest import Rest

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.docker, pytest.mark.nx]
LIMIT_S = 30.0
"""The node looks every ten seconds."""


@dataclass
class Docked:
    """A node with an engine, and one desk on it."""

    node: NodeProcess
    desk: Desk

    @property
    def name(self) -> str:
        """What the engine calls the desk's container."""
        return f"{self.node.prefix}qvd-{self.desk.vm_id}"


@pytest_asyncio.fixture(loop_scope="session")
async def docked(node: NodeProcess, rest: Rest, engine: DockerEngine) -> AsyncIterator[Docked]:
    """The engine appears where the node looks for it, with the runtime that the node has."""
    ENGINE_SOCKET.unlink(missing_ok=True)
    ENGINE_SOCKET.symlink_to(engine.socket)
    engine.offer(ENGINE_RUNTIME, node.state_dir / "docker" / "oci-runtime")
    try:
        await works(rest)
        flavour = await make_flavour(rest, "docked", "icewm", driver="docker")
        desk = await make_desk(node, rest, "dora", flavour)
        yield Docked(node, desk)
        async with node.rest() as last:
            await last.post(f"/vms/{desk.vm_id}/stop?wait=true")
        assert not [it for it in engine.containers() if node.prefix in it["Names"][0]]
    finally:
        ENGINE_SOCKET.unlink()


async def works(rest: Rest) -> None:
    """Return once the node has seen the engine."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            drivers = {it["name"]: it["problem"] for it in (await rest.get("/node"))["drivers"]}
            if drivers["docker"] is None:
                return
            await asyncio.sleep(0.1)


@pytest.mark.timeout(240)
async def test_a_desktop_of_docker_is_one_like_any_other(
    docked: Docked, engine: DockerEngine, screen: Screen, tmp_path: Path
) -> None:
    async with docked.node.rest() as rest:
        opened = await is_shown(docked, rest, screen, tmp_path)
        names = [it["Names"] for it in engine.containers()]
        assert [f"/{docked.name}"] in names
    pids = guest_pids(docked.desk)
    await docked.node.sigkill()
    await docked.node.start()
    assert guest_pids(docked.desk) == pids
    async with docked.node.rest() as rest:
        await is_still_there(docked, rest, screen, tmp_path, opened)
        await starts_anew(docked, rest, screen, tmp_path)


async def is_shown(docked: Docked, rest: Rest, screen: Screen, folder: Path) -> dict[str, int]:
    """Its first client sees it; the programs that it left running."""
    desk = docked.desk
    async with desk.dial() as connection:
        answer = await connection.connect(desk.vm_id, link="lan", geometry="800x600")
        assert answer.status == 101, answer
        async with Viewer(connection, screen.display, folder / "first"):
            window = await screen.watcher.wait_new(WINDOW_S)
            opened = await open_window(desk)
            in_guest(desk, "echo mine > ~/kept")
            in_guest_as_root(desk, "touch /etc/lost")
            picture = await screen.watcher.drawn(window, WINDOW_S)
            assert picture.startswith(b"\x89PNG")
    view = await until_vm(rest, desk.vm_id, display="suspended")
    assert (view["driver"], view["generation"]) == ("docker", 1)
    return opened


async def is_still_there(
    docked: Docked, rest: Rest, screen: Screen, folder: Path, opened: dict[str, int]
) -> None:
    """After the node was killed, and for the newest of two connections."""
    desk = docked.desk
    async with viewing(desk, screen, folder / "second"):
        await until_vm(rest, desk.vm_id, display="connected")
        assert session_programs(desk) == opened
        async with viewing(desk, screen, folder / "third"):
            await until_vm(rest, desk.vm_id, display="connected")
            assert session_programs(desk) == opened
    view = await until_vm(rest, desk.vm_id, display="suspended")
    assert view["generation"] == 1


async def starts_anew(docked: Docked, rest: Rest, screen: Screen, folder: Path) -> None:
    """With a fresh root and the same home."""
    desk = docked.desk
    await rest.post(f"/vms/{desk.vm_id}/stop?wait=true")
    assert guest_pids(desk) == []
    async with viewing(desk, screen, folder / "fourth"):
        assert in_guest(desk, "cat ~/kept; ls /etc/lost 2>&1 || true").startswith("mine\nls:")
    await rest.post(f"/vms/{desk.vm_id}/stop?wait=true")
