"""A farm whose database is stopped: users reach their running desktops at any node."""

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from qvdnode.db.embedded import EmbeddedPostgres
from qvdnode.db.settings import DatabaseSettings
from qvdnode.runtime.clock import SystemClock
from tests.e2e.conftest import NUMBERS, Screen
from tests.e2e.two_nodes import TwoNodes, farm, furnished_farm, persistently, start_on
from tests.fixtures_postgres import state_folder
from tests.harness.farm import Desk, make_desk, until_vm
from tests.harness.farm_network import Farm
from tests.harness.node import NodeProcess
from tests.harness.qvd import QvdConnection, Viewer
from tests.harness.rest import Rest
from tests.waiting import until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.postgres]

__all__ = ["farm"]

WINDOW_S = 60.0
LIMIT_S = 30.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server() -> AsyncIterator[EmbeddedPostgres]:
    """A PostgreSQL of no node, which a test may stop and start."""
    folder = state_folder()
    made = EmbeddedPostgres(DatabaseSettings(state_dir=folder), SystemClock())
    try:
        yield made
    finally:
        await made.stop()
        shutil.rmtree(folder)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def furnished(icewm_root: Path, server: EmbeddedPostgres) -> AsyncIterator[Farm]:
    """Two nodes on that server."""
    async with furnished_farm(icewm_root, await server.start()) as made:
        yield made


async def status_of_list(desk: Desk, node: NodeProcess, password: str = "") -> int:
    """What the list of the user's desktops is answered with there."""
    dialled = desk.dial(password, at=node) if password else desk.dial(at=node)
    async with dialled as connection:
        return (await connection.ask("/qvd/list_of_vm")).status


async def token_of(desk: Desk, node: NodeProcess) -> str:
    """A token that the user was given there."""
    async with desk.dial(at=node) as connection:
        answer = await connection.ask("/qvd/create_auth_token")
    return "".join(json.loads(answer.body)["auth_token"].split())


async def test_a_user_who_was_never_at_a_node_reaches_a_desktop_of_another_one_there(
    farm: TwoNodes, server: EmbeddedPostgres, screen: Screen, tmp_path: Path
) -> None:
    """By password and by token; nobody gets in by a wrong one, or starts what does not run."""
    desk = farm.desk
    idle = await another_desk(farm)
    token = await token_of(desk, farm.there)
    assert await status_of_list(idle, farm.here) == 200
    await start_on(desk, farm.there)
    async with farm.there.rest() as rest:
        began = (await rest.get(f"/vms/{desk.vm_id}"))["generation"]
    await until(lambda: copied(farm.here), limit_s=LIMIT_S, what="the copy of the login data")
    await server.stop()
    try:
        assert await status_of_list(desk, farm.here, "wrong") == 503
        await is_shown(desk, farm.here, screen, tmp_path)
        async with by_token(farm.here, token) as connection:
            assert f'"id": {desk.vm_id}' in (await connection.ask("/qvd/list_of_vm")).body.decode()
        await is_refused(idle, farm.here, idle.vm_id)
        await is_refused(idle, farm.here, desk.vm_id)
    finally:
        await server.start()
    await all_ready(farm)
    async with farm.here.rest() as rest:
        view = await until_vm(rest, desk.vm_id, state="running", display="suspended")
        assert view["generation"] == began
    await starts_and_stops(idle, farm.here)


async def copied(node: NodeProcess) -> bool:
    """Whether the node has heard of the desktop, and has what its user's login is checked by."""
    async with node.rest() as rest:
        return await rest.metric("qvdnode_login_copies") >= 1


async def is_shown(desk: Desk, node: NodeProcess, screen: Screen, folder: Path) -> None:
    """The user sees the desktop there."""
    async with desk.dial(at=node) as connection:
        assert f'"id": {desk.vm_id}' in (await connection.ask("/qvd/list_of_vm")).body.decode()
        answer = await connection.connect(desk.vm_id, link="lan", geometry="800x600")
        assert answer.status == 101, answer
        async with Viewer(connection, screen.display, folder):
            window = await screen.watcher.wait_new(WINDOW_S)
            assert (await screen.watcher.drawn(window, WINDOW_S)).startswith(b"\x89PNG")


async def starts_and_stops(desk: Desk, node: NodeProcess) -> None:
    """A desktop that did not run can be started again."""
    async with node.rest() as rest:
        started = await persistently(rest, f"/vms/{desk.vm_id}/start?wait=true")
        assert started["state"] == "running"
        await persistently(rest, f"/vms/{desk.vm_id}/stop?wait=true")


async def another_desk(farm: TwoNodes) -> Desk:
    """One more user, whose desktop does not run."""
    async with farm.here.rest() as rest:
        flavour = (await rest.get("/flavours?name=office"))["items"][0]["id"]
        return await make_desk(farm.here, rest, f"ida{next(NUMBERS)}", flavour)


async def is_refused(desk: Desk, node: NodeProcess, vm_id: int) -> None:
    """The user is not connected to that VM there."""
    async with desk.dial(at=node) as connection:
        answer = await connection.connect(vm_id)
        assert answer.status == (503 if vm_id == desk.vm_id else 403), answer


async def all_ready(farm: TwoNodes) -> None:
    """Wait until desktops can be started at both nodes."""
    for node in farm.nodes:
        async with node.rest() as rest:

            async def ready(rest: Rest = rest) -> bool:
                return await rest.status("/readyz") == 200

            await until(ready, limit_s=LIMIT_S, what="the node to be ready again")


def by_token(node: NodeProcess, token: str) -> QvdConnection:
    """A connection to the client port there, which logs in by a token."""
    made = QvdConnection(node.client_port, "", "", host=node.host)
    made.authorization = f"Bearer {token}"
    return made
