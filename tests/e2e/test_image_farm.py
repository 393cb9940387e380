"""An image that one node has starts desktops on another one, which fetches it."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.conftest import NUMBERS, Screen
from tests.e2e.two_nodes import persistently, serve
from tests.harness.farm import Desk, lend_image, make_desk, make_flavour
from tests.harness.farm_network import Farm, running_farm
from tests.harness.node import NodeProcess
from tests.harness.qvd import Viewer

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

WINDOW_S = 60.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def furnished(icewm_root: Path) -> AsyncIterator[Farm]:
    """Two nodes; the first one alone has the image."""
    async with running_farm(2, node={"stop_guests": True}) as farm:
        await serve(farm.nodes)
        async with farm.nodes[0].rest() as rest:
            await lend_image(farm.nodes[0], rest, "icewm", icewm_root)
            await make_flavour(rest, "office", "icewm")
        yield farm


async def new_desk(farm: Farm, node: NodeProcess) -> Desk:
    """A desktop of a new user, whose home is on that node."""
    async with farm.nodes[0].rest() as rest:
        flavour = (await rest.get("/flavours?name=office"))["items"][0]["id"]
        desk = await make_desk(farm.nodes[0], rest, f"eva{next(NUMBERS)}", flavour)
        ids = {item["name"]: item["id"] for item in (await rest.get("/nodes"))["items"]}
        home = {"node_id": ids[f"test-{node.prefix}"]}
        await rest.call("PUT", f"/users/{desk.user_id}/home", home)
    return desk


async def checked(node: NodeProcess) -> dict[str, Any]:
    """What a full check of the node's store says."""
    command = node.command("image", "verify", "--json", "--config", str(node.write_config()))
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def test_desktops_start_on_a_node_that_had_not_the_image(
    furnished: Farm, screen: Screen, tmp_path: Path
) -> None:
    """One fetch for all, told to who waits, checked, and none at the next start."""
    here, there = furnished.nodes
    assert not list((there.state_dir / "images").glob("*/*/commit"))
    first, second = await new_desk(furnished, there), await new_desk(furnished, there)
    async with there.rest() as rest:
        beside = asyncio.create_task(persistently(rest, f"/vms/{second.vm_id}/start?wait=true"))
        async with first.dial(at=here) as connection:
            answer = await connection.connect(first.vm_id, link="lan", geometry="800x600")
            assert answer.status == 101, answer
            fetching = [line for line in answer.progress if "Fetching the image icewm" in line]
            assert fetching, answer.progress
            async with Viewer(connection, screen.display, tmp_path):
                window = await screen.watcher.wait_new(WINDOW_S)
                assert (await screen.watcher.drawn(window, WINDOW_S)).startswith(b"\x89PNG")
        assert (await beside)["node"] == f"test-{there.prefix}"
        (fetched,) = there.events("image_fetched")
        assert fetched["bytes"] > 100 << 20
        (sent,) = here.events("image_sent")
        assert sent["bytes"] == fetched["bytes"]
        assert (await checked(there))["findings"] == []
        for desk in (first, second):
            await rest.post(f"/vms/{desk.vm_id}/stop?wait=true")
        await persistently(rest, f"/vms/{first.vm_id}/start?wait=true")
        await rest.post(f"/vms/{first.vm_id}/stop?wait=true")
    assert len(there.events("image_fetched")) == 1
