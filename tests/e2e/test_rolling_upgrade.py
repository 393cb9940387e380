"""Nodes of two releases serve one farm side by side, and are upgraded one after another."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from qvdnode.db.migrate import steps
from tests.e2e.conftest import Screen
from tests.e2e.test_farm_losses import shown
from tests.e2e.two_nodes import LIMIT_S, TwoNodes, farm, furnished_farm, serve, start_on
from tests.fixtures_postgres import PostgresServer, fresh_database
from tests.harness.farm import until_vm
from tests.harness.farm_network import Farm
from tests.harness.next_release import PROGRAM, release
from tests.harness.node import NodeProcess

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.postgres,
    pytest.mark.timeout(300),  # each restart of a node takes long on a machine that is in use
]

__all__ = ["farm"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def furnished(postgres_server: PostgresServer, icewm_root: Path) -> AsyncIterator[Farm]:
    """Two nodes of this release, with a PostgreSQL of their own."""
    async with fresh_database(postgres_server) as dsn, furnished_farm(icewm_root, dsn) as made:
        yield made


async def upgraded(node: NodeProcess, program: tuple[str, ...]) -> None:
    """Empty the node, start the other program in its place, and fill it again."""
    async with node.rest() as rest:
        (own,) = (item for item in (await rest.get("/nodes"))["items"] if item["here"])
        await rest.post(f"/nodes/{own['id']}/drain", {})
    node.settings["node"]["stop_guests"] = False
    node.write_config()
    await node.sigkill()  # the harness had it started to end its desktops
    node.program = program
    await node.start()
    async with node.rest() as rest:
        await rest.post(f"/nodes/{own['id']}/undrain")


async def restarts(node: NodeProcess) -> None:
    """It is stopped and started, with the program that it has."""
    await node.stop()
    await node.start()


async def test_a_farm_is_upgraded_node_by_node_and_what_is_too_old_is_told_so(
    farm: TwoNodes, screen: Screen, tmp_path: Path
) -> None:
    newer = release(tmp_path / "next")
    vm_id = farm.desk.vm_id
    await start_on(farm.desk, farm.there)
    async with farm.here.rest() as rest:
        before = await until_vm(rest, vm_id, state="running")
        await upgraded(farm.there, newer)
        after = await until_vm(rest, vm_id, state="running")
        assert after["generation"] == before["generation"], "the desktop ran on"
        await serve(list(farm.nodes))
        async with shown(farm, farm.here, screen, tmp_path / "older-to-newer"):
            await until_vm(rest, vm_id, display="connected", viewer=True)
    await restarts(farm.here)  # an older node starts again on the newer schema
    assert farm.here.events("schema_newer")[0]["schema"] == len(steps()) + 1
    await serve(list(farm.nodes))
    async with farm.there.rest() as rest:
        items = {item["name"]: item["program"] for item in (await rest.get("/nodes"))["items"]}
        assert items[f"test-{farm.there.prefix}"] == PROGRAM
        assert items[f"test-{farm.here.prefix}"] != PROGRAM
    await needs_the_newer(farm.here.settings["database"]["dsn"])
    await too_old(farm.here)
    farm.here.program = newer
    await farm.here.start()
    await serve(list(farm.nodes))


async def needs_the_newer(dsn: str) -> None:
    """As a step of the schema does that takes away what older programs use."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("UPDATE schema_version SET needs = version")
    finally:
        await connection.close()


async def too_old(node: NodeProcess) -> None:
    """It does not start, and says what to do."""
    await node.stop()
    await node.start(wait=False)
    assert node.process is not None
    async with asyncio.timeout(LIMIT_S):
        assert await node.process.wait() != 0
    assert "another node runs a newer version; upgrade this one too" in node.last_words()
