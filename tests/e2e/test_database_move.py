"""A farm moves from the database embedded in its first node to another one, and back, in use."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from qvdnode.db.embedded import EmbeddedPostgres
from tests.e2e.conftest import Screen
from tests.e2e.test_farm_losses import shown
from tests.e2e.test_own_database import own_server
from tests.e2e.two_nodes import LIMIT_S, TwoNodes, farm, furnished_farm, serve, start_on
from tests.harness.farm import until_vm
from tests.harness.farm_network import Farm
from tests.harness.node import NodeProcess
from tests.harness.rest import Rest
from tests.waiting import until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.postgres]

__all__ = ["farm"]

COMMAND_LIMIT_S = 50.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def furnished(icewm_root: Path) -> AsyncIterator[Farm]:
    """Two nodes on the first one's embedded database."""
    async with furnished_farm(icewm_root) as made:
        yield made


async def ran(node: NodeProcess, *arguments: str) -> tuple[int, str, str]:
    """A command of `qvdnode database` on the node's host: exit code, answer, progress."""
    process = await asyncio.create_subprocess_exec(
        *node.command("database", *arguments, "--config", str(node.state_dir / "node.toml")),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(COMMAND_LIMIT_S):
        said, told = await process.communicate()
    return process.returncode or 0, said.decode(), told.decode()


async def moved(node: NodeProcess, to: str) -> dict[str, Any]:
    """Move the farm; what the command reports."""
    code, said, told = await ran(node, "move", "--to", to, "--json")
    assert code == 0, told
    assert "verified tenant" in told
    report: dict[str, Any] = json.loads(said)
    return report


async def database_node(rest: Rest) -> list[str]:
    """The nodes that are said to run the farm's database."""
    return [item["name"] for item in (await rest.get("/nodes"))["items"] if item["runs_database"]]


async def writes(node: NodeProcess, name: str) -> None:
    """Something can be made through that node."""
    async with node.rest() as rest:
        assert (await rest.post("/tenants", {"name": name}))["name"] == name


async def test_a_farm_moves_while_a_desktop_is_shown_and_every_node_follows(
    farm: TwoNodes, screen: Screen, tmp_path: Path
) -> None:
    await start_on(farm.desk, farm.there)
    async with own_server() as server, farm.here.rest() as rest:
        dsn = await server.start()
        await writes(farm.there, "before")
        await moved_in_use(farm, rest, dsn, screen, tmp_path)
        assert await database_node(rest) == []
        assert (await rest.get("/tenants?name=before"))["items"]
        # a node that is killed comes back in the new database, with the desktops that it ran
        await farm.there.sigkill()
        await farm.there.start()
        await until_vm(rest, farm.desk.vm_id, state="running", viewer=False)
        code, said, _ = await ran(farm.there, "show", "--json")
        assert (code, json.loads(said)["moves"]) == (0, 1)
        await serve(list(farm.nodes))
        await moved_back(farm, rest, server)


async def moved_in_use(farm: TwoNodes, rest: Rest, dsn: str, screen: Screen, folder: Path) -> None:
    """Nodes and the client's stream go on."""
    async with shown(farm, farm.here, screen, folder / "shown") as viewer:
        before = await until_vm(rest, farm.desk.vm_id, display="connected", viewer=True)
        report = await moved(farm.here, dsn)
        assert sorted(report["followed"]) == sorted(names(farm))
        assert (report["moves"], report["missing"]) == (1, [])
        for node in farm.nodes:
            await writes(node, f"after-{node.prefix}")
        after = await until_vm(rest, farm.desk.vm_id, display="connected", viewer=True)
        assert after["generation"] == before["generation"]
        assert not viewer.over.is_set()


async def moved_back(farm: TwoNodes, rest: Rest, server: EmbeddedPostgres) -> None:
    """With a node that is away, and hears of it from the other one alone."""
    await farm.there.stop()
    report = await moved(farm.here, "embedded")
    assert (report["moves"], report["followed"]) == (2, names(farm)[:1])
    await writes(farm.here, "embedded")
    await server.stop()
    await farm.there.start()

    async def follows() -> bool:
        return bool(farm.there.events("database_moved"))

    await until(follows, limit_s=LIMIT_S, what="the other node to hear of the move")
    await serve(list(farm.nodes))
    await writes(farm.there, "again")
    assert await database_node(rest) == names(farm)[:1]


def names(farm: TwoNodes) -> list[str]:
    """Of its nodes."""
    return [f"test-{node.prefix}" for node in farm.nodes]


async def test_a_database_that_cannot_be_reached_changes_nothing(farm: TwoNodes) -> None:
    code, _, told = await ran(farm.here, "move", "--to", "postgresql://127.0.0.1:1/farm")
    assert code != 0
    assert "The other database cannot be used" in told
    await writes(farm.here, "still")
    code, _, told = await ran(farm.there, "move", "--to", "farm at db1")
    assert code != 0
    assert "postgresql://" in told
