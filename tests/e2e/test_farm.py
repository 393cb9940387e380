"""A farm of real nodes, each in a network namespace of its own, with real guests."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.conftest import Screen
from tests.fixtures_postgres import PostgresServer, fresh_database
from tests.harness.farm import Desk, import_image, make_desk, make_flavour, until_vm
from tests.harness.farm_network import copy_images, running_farm
from tests.harness.node import NodeProcess
from tests.harness.qvd import Viewer
from tests.harness.rest import Refused, Rest
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

WINDOW_S = 60.0


@dataclass
class TwoNodes:
    """Two nodes of one farm, and a user whose VM runs nowhere yet."""

    here: NodeProcess
    there: NodeProcess
    desk: Desk


async def furnished(nodes: list[NodeProcess], icewm_root: Path, login: str) -> TwoNodes:
    """Image, flavour and a user, by the first node's REST."""
    here, there = nodes[:2]
    async with here.rest() as rest:
        await import_image(rest, "icewm", icewm_root)
        flavour = await make_flavour(rest, "office", "icewm")
        desk = await make_desk(here, rest, login, flavour)
    copy_images(here, there)
    return TwoNodes(here, there, desk)


@pytest_asyncio.fixture(loop_scope="session")
async def farm(postgres_server: PostgresServer, icewm_root: Path) -> AsyncIterator[TwoNodes]:
    """Two nodes with a PostgreSQL of their own."""
    async with (
        fresh_database(postgres_server) as dsn,
        running_farm(2, dsn=dsn) as nodes,
    ):
        yield await furnished(nodes, icewm_root, "ana")


async def start_there(farm: TwoNodes) -> None:
    """Start the desktop on the other node, which has its user's home, by that one's REST.

    Without a home, placement takes whichever node is better.
    """
    name = f"test-{farm.there.prefix}"
    async with farm.there.rest() as rest:
        items = {item["name"]: item["id"] for item in (await rest.get("/nodes"))["items"]}
        await rest.call("PUT", f"/users/{farm.desk.user_id}/home", {"node_id": items[name]})
        view = await rest.post(f"/vms/{farm.desk.vm_id}/start?wait=true")
        assert view["node"] == name


async def test_a_client_of_one_node_sees_its_desktop_on_another(
    farm: TwoNodes, screen: Screen, tmp_path: Path
) -> None:
    """Relayed over one hop; any node's REST shows and stops it, and knows why it ended."""
    await start_there(farm)
    desk = farm.desk
    async with farm.here.rest() as rest, farm.there.rest() as other:
        async with desk.dial(at=farm.here) as connection:
            answer = await connection.connect(desk.vm_id, link="lan", geometry="800x600")
            assert answer.status == 101, answer
            async with Viewer(connection, screen.display, tmp_path) as viewer:
                window = await screen.watcher.wait_new(WINDOW_S)
                assert (await screen.watcher.drawn(window, WINDOW_S)).startswith(b"\x89PNG")
                for node in (rest, other):
                    view = await until_vm(node, desk.vm_id, display="connected", viewer=True)
                    assert view["node"] == f"test-{farm.there.prefix}"
                assert (await rest.post(f"/vms/{desk.vm_id}/disconnect"))["disconnected"]
                async with asyncio.timeout(30):
                    await viewer.over.wait()
        await until_vm(rest, desk.vm_id, state="running", display="suspended")
        assert "nxagent" in (await rest.get(f"/vms/{desk.vm_id}/log"))["text"].lower()
        stopped = await rest.post(f"/vms/{desk.vm_id}/stop?wait=true")
        assert stopped["state"] == "stopped"
        await until_vm(other, desk.vm_id, state="stopped", node=None)


async def test_every_node_tells_of_the_others(farm: TwoNodes) -> None:
    """Who they are, whether they answer, and since when."""
    for node, other in ((farm.here, farm.there), (farm.there, farm.here)):
        async with node.rest() as rest:

            async def both_reached() -> bool:
                items = (await rest.get("/nodes"))["items"]
                return [item["reached"] for item in items if not item["here"]] == [True]

            await until(both_reached, limit_s=30)
            items = {item["name"]: item for item in (await rest.get("/nodes"))["items"]}
            assert set(items) == {f"test-{one.prefix}" for one in (node, other)}
            seen = items[f"test-{other.prefix}"]
            assert seen["alive"]
            assert seen["reason"] is None
            assert (seen["address"], seen["peer_port"]) == (other.host, 8445)


async def test_a_desktop_starts_again_where_its_users_home_is(farm: TwoNodes) -> None:
    """Whichever node is asked, once that node's load is known there."""
    await start_there(farm)
    path = f"/vms/{farm.desk.vm_id}"
    async with farm.here.rest() as rest:
        await rest.post(f"{path}/stop?wait=true")
        view = await started(rest, path)
        assert view["node"] == f"test-{farm.there.prefix}"
        await rest.post(f"{path}/stop?wait=true")


async def test_a_node_without_the_image_passes_a_start_on(farm: TwoNodes) -> None:
    shutil.rmtree(farm.there.state_dir / "images")
    (farm.there.state_dir / "images").mkdir(mode=0o711)
    path = f"/vms/{farm.desk.vm_id}"
    async with farm.there.rest() as rest:
        view = await started(rest, path)
        assert view["node"] == f"test-{farm.here.prefix}"
        await rest.post(f"{path}/stop?wait=true")


async def started(rest: Rest, path: str) -> dict[str, Any]:
    """Start a VM by a node that may not know the load of the others yet."""

    async def start() -> Any:
        try:
            return await rest.post(f"{path}/start?wait=true")
        except Refused as refused:
            if refused.status != 503:
                raise
            return None

    view: dict[str, Any] = await until(start, limit_s=30)
    return view


async def test_a_node_that_died_is_told_of(farm: TwoNodes) -> None:
    """A user whose desktop it runs is told, and so is an administrator; nothing hangs."""
    await start_there(farm)
    desk = farm.desk
    await farm.there.sigkill()
    async with farm.here.rest() as rest:
        async with desk.dial(at=farm.here) as connection:
            answer = await connection.connect(desk.vm_id)
        assert answer.status == 503, answer

        async def told() -> bool:
            view = await rest.get(f"/vms/{desk.vm_id}")
            return view["error"] is not None and "cannot be reached" in view["error"]

        await until(told, limit_s=30)
        with pytest.raises(Refused) as refused:
            await rest.post(f"/vms/{desk.vm_id}/stop?wait=true")
        assert refused.value.status == 503
        assert [vm["id"] for vm in (await rest.get("/vms"))["items"]] == [desk.vm_id]
        await farm.there.start()
        await until_vm(rest, desk.vm_id, state="running", error=None)
        await rest.post(f"/vms/{desk.vm_id}/stop?wait=true")


async def test_a_farm_begins_on_the_first_nodes_database(
    icewm_root: Path, screen: Screen, tmp_path: Path
) -> None:
    """The other node reaches it over the peer link; both lists say that all depends on it."""
    async with running_farm(2) as nodes:
        farm = await furnished(nodes, icewm_root, "ben")
        await start_there(farm)
        async with farm.desk.dial(at=farm.here) as connection:
            answer = await connection.connect(farm.desk.vm_id, link="lan", geometry="800x600")
            assert answer.status == 101, answer
            async with Viewer(connection, screen.display, tmp_path):
                window = await screen.watcher.wait_new(WINDOW_S)
                assert (await screen.watcher.drawn(window, WINDOW_S)).startswith(b"\x89PNG")
        for node in nodes:
            async with node.rest() as rest:
                items = (await rest.get("/nodes"))["items"]
                assert [item["runs_database"] for item in items] == [True, False]
        async with farm.there.rest() as rest:
            await rest.post(f"/vms/{farm.desk.vm_id}/stop?wait=true")


async def test_three_nodes_and_one_that_is_removed(
    postgres_server: PostgresServer, icewm_root: Path
) -> None:
    """Any of them relays to any other; a node that was removed does not start again."""
    async with (
        fresh_database(postgres_server) as dsn,
        running_farm(3, dsn=dsn) as nodes,
    ):
        first, second, third = nodes
        farm = await furnished([first, third], icewm_root, "eva")
        await start_there(farm)
        for node in nodes:
            async with farm.desk.dial(at=node) as connection:
                assert (await connection.connect(farm.desk.vm_id)).status == 101
        async with second.rest() as rest:
            view = await until_vm(rest, farm.desk.vm_id, state="running")
            assert view["node"] == f"test-{third.prefix}"
            await rest.post(f"/vms/{farm.desk.vm_id}/stop?wait=true")
            items = {item["name"]: item for item in (await rest.get("/nodes"))["items"]}
            path = f"/nodes/{items[view['node']]['id']}"
            with pytest.raises(Refused, match="stop it with"):
                await rest.call("DELETE", path)
            third.settings.setdefault("node", {})["stop_guests"] = True
            await third.stop()
            await third.start()
            await third.stop()
            await rest.call("DELETE", path)
            assert view["node"] not in str(await rest.get("/nodes"))
        await third.start(wait=False)
        assert third.process is not None
        async with asyncio.timeout(30):
            assert await third.process.wait() != 0
        assert "was removed from its farm" in third.last_words()
        # Nothing of it runs, and it cannot be started to be cleaned up.
        shutil.rmtree(third.state_dir / "state")
