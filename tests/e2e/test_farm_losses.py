"""Nodes that die, stand still or leave their farm: nobody's work is lost."""

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.conftest import NUMBERS, Screen
from tests.e2e.two_nodes import (
    TwoNodes,
    ends_as_removed,
    farm,
    furnished_farm,
    persistently,
    remove_from_farm,
    serve,
    start_on,
)
from tests.fixtures_postgres import PostgresServer, fresh_database
from tests.harness.client_program import said
from tests.harness.client_program import shown as shown_by_client
from tests.harness.farm import make_desk, until_vm
from tests.harness.farm_network import Farm, copy_images
from tests.harness.fault_farm import cut_off, dropping
from tests.harness.node import NodeProcess
from tests.harness.qvd import Viewer

pytestmark = pytest.mark.asyncio(loop_scope="session")

__all__ = ["farm"]

WINDOW_S = 60.0
STALL_S = 8.0
SILENCE_MAX_S = 16.0
"""What is promised, and the moment that a sentence takes on a loaded machine."""
DROPPED = "The link dropped; the desktop runs on. Connecting again."
LIMIT_S = 30.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def furnished(postgres_server: PostgresServer, icewm_root: Path) -> AsyncIterator[Farm]:
    """Two nodes with a PostgreSQL of their own, so that each of them may die."""
    async with fresh_database(postgres_server) as dsn, furnished_farm(icewm_root, dsn) as made:
        yield made


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


async def over(viewer: Viewer, limit_s: float = LIMIT_S) -> None:
    """Return once the client's stream has ended."""
    async with asyncio.timeout(limit_s):
        await viewer.over.wait()


async def test_a_desktop_outlives_its_node_and_is_back_through_the_other(
    farm: TwoNodes, screen: Screen, tmp_path: Path
) -> None:
    await start_on(farm.desk, farm.there)
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
    await start_on(farm.desk, farm.there)
    vm_id = farm.desk.vm_id
    async with farm.there.rest() as rest:
        async with shown(farm, farm.here, screen, tmp_path / "first") as viewer:
            await until_vm(rest, vm_id, display="connected", viewer=True)
            await farm.here.sigkill()
            await over(viewer)
            await until_vm(rest, vm_id, display="suspended", viewer=False)
        async with shown(farm, farm.there, screen, tmp_path / "again"):
            await until_vm(rest, vm_id, display="connected", viewer=True)


async def test_the_newest_client_wins_on_whichever_node(
    farm: TwoNodes, screen: Screen, tmp_path: Path
) -> None:
    await start_on(farm.desk, farm.there)
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
    await start_on(farm.desk, farm.there)
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


async def test_three_nodes_and_one_that_is_removed(farm: TwoNodes, furnished: Farm) -> None:
    """Any of them relays to any other; a node that was removed does not start again."""
    desk, third = farm.desk, await furnished.add(node={"stop_guests": True})
    try:
        copy_images(farm.here, third)
        await serve(furnished.nodes)
        await start_on(desk, third)
        for node in furnished.nodes:
            async with desk.dial(at=node) as connection:
                answer = await connection.connect(desk.vm_id)
                assert answer.status == 101, answer
        async with farm.there.rest() as rest:
            view = await until_vm(rest, desk.vm_id, state="running")
            assert view["node"] == f"test-{third.prefix}"
            await rest.post(f"/vms/{desk.vm_id}/stop?wait=true")
            await remove_from_farm(third, rest)
        await ends_as_removed(third)
        # Nothing of it runs, and it cannot be started to be cleaned up.
        shutil.rmtree(third.state_dir / "state")
    finally:
        furnished.nodes.remove(third)


async def test_a_host_that_dies_without_a_word_is_noticed_within_15_seconds(
    farm: TwoNodes, screen: Screen
) -> None:
    """By a client that it serves, and by the node that relays another one to it."""
    desk = farm.desk
    async with farm.here.rest() as rest:
        flavour = (await rest.get("/flavours?name=office"))["items"][0]["id"]
        other = await make_desk(farm.here, rest, f"bob{next(NUMBERS)}", flavour)
    for one in (desk, other):
        await start_on(one, farm.there)
    async with (
        shown_by_client(desk, farm.there, screen.display) as direct,
        shown_by_client(other, farm.here, screen.display) as relayed,
    ):
        for client in (direct, relayed):
            await said(client, "Connected")
            await screen.watcher.wait_new(WINDOW_S)
        with dropping(farm.there, cut_off()):
            async with asyncio.timeout(SILENCE_MAX_S):
                await asyncio.gather(said(direct, DROPPED), said(relayed, DROPPED))
        for client in (direct, relayed):  # the host was there all the time
            await said(client, "Connected")
    async with farm.here.rest() as rest:
        await persistently(rest, f"/vms/{other.vm_id}/stop?wait=true")
