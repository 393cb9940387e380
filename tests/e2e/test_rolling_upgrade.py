"""Nodes of two releases serve one farm side by side, and are upgraded one after another."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from qvdnode.db.migrate import steps
from tests.e2e.conftest import Screen
from tests.e2e.test_farm_losses import shown
from tests.e2e.two_nodes import LIMIT_S, TwoNodes, farm, furnished_farm, serve, start_on
from tests.fixtures_postgres import PostgresServer, fresh_database
from tests.harness.farm import until_vm
from tests.harness.farm_network import Farm
from tests.harness.next_release import release
from tests.harness.node import NodeProcess
from tests.waiting import until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.postgres]

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
    older, newer = farm.here.program, release(tmp_path / "next", 1)
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
        assert items[f"test-{farm.there.prefix}"] == "0.2.0"
        assert items[f"test-{farm.here.prefix}"] != "0.2.0"
    await upgraded(farm.here, newer)
    await serve(list(farm.nodes))
    async with shown(farm, farm.here, screen, tmp_path / "newer-to-newer"):
        pass
    farm.there.program = release(tmp_path / "after", 2, takes_away=True)
    await restarts(farm.there)
    farm.here.program = older
    await too_old_by_protocol_and_schema(farm)
    farm.here.program = farm.there.program


async def too_old_by_protocol_and_schema(farm: TwoNodes) -> None:
    """Two releases apart: neither a link nor the database, and both say what to do."""
    await farm.here.stop()
    await farm.here.start(wait=False)
    assert farm.here.process is not None
    async with asyncio.timeout(LIMIT_S):
        assert await farm.here.process.wait() != 0
    assert "another node runs a newer version; upgrade this one too" in farm.here.last_words()

    async def told() -> bool:
        because = [event["because"] for event in farm.here.events("peer_unreachable")]
        return any("upgrade" in text for text in because)

    await until(told, limit_s=LIMIT_S, what="the older node to be told")
