"""A session over two real nodes when one of them dies or stands still: nobody's work is lost."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.e2e.conftest import Screen
from tests.e2e.test_farm import WINDOW_S, TwoNodes, farm, start_there
from tests.harness.farm import until_vm
from tests.harness.node import NodeProcess
from tests.harness.qvd import Viewer

pytestmark = pytest.mark.asyncio(loop_scope="session")

__all__ = ["farm"]

STALL_S = 8.0


@asynccontextmanager
async def shown(
    farm: TwoNodes, at: NodeProcess, screen: Screen, folder: Path
) -> AsyncIterator[Viewer]:
    """The desktop on the screen, through that node."""
    async with farm.desk.dial(at=at) as connection:
        answer = await connection.connect(farm.desk.vm_id, link="lan", geometry="800x600")
        assert answer.status == 101, answer
        async with Viewer(connection, screen.display, folder) as viewer:
            window = await screen.watcher.wait_new(WINDOW_S)
            assert (await screen.watcher.drawn(window, WINDOW_S)).startswith(b"\x89PNG")
            yield viewer


async def over(viewer: Viewer, limit_s: float = 30.0) -> None:
    """Return once the client's stream has ended."""
    async with asyncio.timeout(limit_s):
        await viewer.over.wait()


async def test_a_desktop_outlives_its_node_and_is_back_through_the_other(
    farm: TwoNodes, screen: Screen, tmp_path: Path
) -> None:
    await start_there(farm)
    vm_id = farm.desk.vm_id
    async with (
        farm.here.rest() as rest,
        shown(farm, farm.here, screen, tmp_path / "first") as viewer,
    ):
        before = await until_vm(rest, vm_id, display="connected")
        await farm.there.sigkill()
        await over(viewer)
    await farm.there.start()
    async with farm.here.rest() as rest:
        await until_vm(rest, vm_id, state="running", display="suspended", viewer=False)
        async with shown(farm, farm.here, screen, tmp_path / "again"):
            after = await until_vm(rest, vm_id, display="connected", viewer=True)
    assert after["generation"] == before["generation"]


async def test_a_desktop_suspends_when_the_node_of_its_client_dies(
    farm: TwoNodes, screen: Screen, tmp_path: Path
) -> None:
    await start_there(farm)
    vm_id = farm.desk.vm_id
    async with farm.there.rest() as rest:
        async with shown(farm, farm.here, screen, tmp_path / "first") as viewer:
            await until_vm(rest, vm_id, display="connected", viewer=True)
            await farm.here.sigkill()
            await over(viewer)
            await until_vm(rest, vm_id, display="suspended", viewer=False)
        async with shown(farm, farm.there, screen, tmp_path / "again"):
            await until_vm(rest, vm_id, display="connected", viewer=True)
    await farm.here.start()


async def test_the_newest_client_wins_on_whichever_node(
    farm: TwoNodes, screen: Screen, tmp_path: Path
) -> None:
    await start_there(farm)
    async with (
        shown(farm, farm.here, screen, tmp_path / "relayed") as relayed,
        shown(farm, farm.there, screen, tmp_path / "direct") as direct,
    ):
        await over(relayed)
        async with shown(farm, farm.here, screen, tmp_path / "relayed again"):
            await over(direct)


async def test_a_session_survives_a_node_that_stands_still(
    farm: TwoNodes, screen: Screen, tmp_path: Path
) -> None:
    """The link for calls is dropped and made again; the stream goes on, and so does the seat."""
    await start_there(farm)
    vm_id = farm.desk.vm_id
    async with (
        farm.here.rest() as rest,
        shown(farm, farm.here, screen, tmp_path / "first") as viewer,
    ):
        await until_vm(rest, vm_id, display="connected", viewer=True)
        assert farm.there.process is not None
        farm.there.process.send_signal(signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            await over(viewer, limit_s=STALL_S)
        farm.there.process.send_signal(signal.SIGCONT)
        await until_vm(rest, vm_id, display="connected", viewer=True)
        assert not viewer.over.is_set()
        assert (await rest.post(f"/vms/{vm_id}/disconnect"))["disconnected"]
        await over(viewer)
