"""Two nodes of one farm, shared by the tests of a module: each has a user and a desktop of its own.

nodes = farm_of_two(...)      a fixture for the module
farm                          a fixture for each test: the nodes serve, and know each other
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from qvdnode.cli.exit_codes import ExitCode
from tests.e2e.conftest import NUMBERS
from tests.harness.farm import Desk, lend_image, make_desk, make_flavour
from tests.harness.farm_network import Farm, copy_images, running_farm
from tests.harness.node import NodeProcess
from tests.harness.rest import Refused, Rest
from tests.waiting import until

LIMIT_S = 30.0


@dataclass
class TwoNodes:
    """Two nodes of one farm, and a user whose VM runs nowhere yet."""

    here: NodeProcess
    there: NodeProcess
    desk: Desk

    @property
    def nodes(self) -> tuple[NodeProcess, NodeProcess]:
        """Both."""
        return self.here, self.there


@asynccontextmanager
async def furnished_farm(icewm_root: Path, dsn: str = "") -> AsyncIterator[Farm]:
    """Two nodes with an image and a flavour; the database is embedded in the first one or given."""
    async with running_farm(2, dsn=dsn, node={"stop_guests": True}) as farm:
        here, there = farm.nodes
        async with here.rest() as rest:
            await lend_image(here, rest, "icewm", icewm_root)
            await make_flavour(rest, "office", "icewm")
        copy_images(here, there)
        yield farm


@pytest_asyncio.fixture(loop_scope="session")
async def farm(furnished: Farm) -> AsyncIterator[TwoNodes]:
    """The module's `furnished` farm, whatever the test before has done to it, and a new user."""
    nodes = furnished.nodes[:2]
    await serve(nodes)
    here, there = nodes
    async with here.rest() as rest:
        flavour = (await rest.get("/flavours?name=office"))["items"][0]["id"]
        desk = await make_desk(here, rest, f"ana{next(NUMBERS)}", flavour)
        yield TwoNodes(here, there, desk)
    await serve(nodes)
    async with here.rest() as rest:
        await persistently(rest, f"/vms/{desk.vm_id}/stop?wait=true")


async def serve(nodes: list[NodeProcess]) -> None:
    """Start those that do not run, and wait until each reaches all others and knows their load."""
    for node in nodes:
        if node.process is None or node.process.returncode is not None:
            await node.start()
    for node in nodes:
        async with node.rest() as rest:

            async def all_reached(rest: Rest = rest) -> bool:
                others = [one for one in (await rest.get("/nodes"))["items"] if not one["here"]]
                return all(other["reached"] and other["reason"] is None for other in others)

            await until(all_reached, limit_s=LIMIT_S, what=f"{node.prefix} to reach the others")


async def persistently(rest: Rest, path: str) -> dict[str, Any]:
    """Ask until it is possible: the node may not know yet that another one is up, or its load."""

    async def answered() -> Any:
        try:
            return await rest.post(path)
        except Refused as refused:
            if refused.status != 503:
                raise
            return None

    view: dict[str, Any] = await until(answered, limit_s=LIMIT_S, what=path)
    return view


async def start_on(desk: Desk, node: NodeProcess) -> None:
    """Start the desktop on that node, by its REST.

    It has the home of the desktop's user then, or else placement takes whichever node is better.
    """
    name = f"test-{node.prefix}"
    async with node.rest() as rest:
        ids = {item["name"]: item["id"] for item in (await rest.get("/nodes"))["items"]}
        await rest.call("PUT", f"/users/{desk.user_id}/home", {"node_id": ids[name]})
        view = await rest.post(f"/vms/{desk.vm_id}/start?wait=true")
        assert view["node"] == name


async def remove_from_farm(node: NodeProcess, rest: Rest) -> None:
    """Which takes a node that has been stopped, and none that serves."""
    name = f"test-{node.prefix}"
    ids = {item["name"]: item["id"] for item in (await rest.get("/nodes"))["items"]}
    with pytest.raises(Refused, match="stop it with"):
        await rest.call("DELETE", f"/nodes/{ids[name]}")
    await node.stop()
    await rest.call("DELETE", f"/nodes/{ids[name]}")
    assert name not in str(await rest.get("/nodes"))


async def ends_as_removed(node: NodeProcess) -> None:
    """Start a node that was removed: it must say so and end."""
    await node.start(wait=False)
    assert node.process is not None
    async with asyncio.timeout(LIMIT_S):
        assert await node.process.wait() == int(ExitCode.DENIED)
    assert "was removed from its farm" in node.last_words()
