"""A farm of real nodes, each in a network namespace of its own, with real guests."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientSession

from qvdnode.wire.server_sent_events import EventReader, SentEvent
from tests.e2e.conftest import Screen
from tests.e2e.two_nodes import (
    TwoNodes,
    ends_as_removed,
    farm,
    furnished_farm,
    persistently,
    remove_from_farm,
    start_on,
)
from tests.fixtures_netns import ip_batch
from tests.harness.farm import until_vm
from tests.harness.farm_network import Farm
from tests.harness.node import NodeProcess
from tests.harness.qvd import Viewer
from tests.harness.rest import Refused
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

__all__ = ["farm"]

WINDOW_S = 60.0
LIMIT_S = 30.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def furnished(icewm_root: Path) -> AsyncIterator[Farm]:
    """Two nodes on the first one's database, which the other reaches over the peer link."""
    async with furnished_farm(icewm_root) as made:
        yield made


async def test_a_client_of_one_node_sees_its_desktop_on_another(
    farm: TwoNodes, screen: Screen, tmp_path: Path
) -> None:
    """Relayed over one hop; any node's REST shows and stops it, and knows why it ended."""
    desk = farm.desk
    await start_on(desk, farm.there)
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
                async with asyncio.timeout(LIMIT_S):
                    await viewer.over.wait()
        await until_vm(rest, desk.vm_id, state="running", display="suspended")
        assert "nxagent" in (await rest.get(f"/vms/{desk.vm_id}/log"))["text"].lower()
        stopped = await rest.post(f"/vms/{desk.vm_id}/stop?wait=true")
        assert stopped["state"] == "stopped"
        await until_vm(other, desk.vm_id, state="stopped", node=None)


async def test_every_node_tells_of_the_others(farm: TwoNodes) -> None:
    """Who they are, whether they answer, since when, and that all depend on one's database."""
    for node, other in ((farm.here, farm.there), (farm.there, farm.here)):
        async with node.rest() as rest:
            items = {item["name"]: item for item in (await rest.get("/nodes"))["items"]}
            assert set(items) == {f"test-{one.prefix}" for one in farm.nodes}
            seen = items[f"test-{other.prefix}"]
            assert seen["alive"]
            assert seen["reached"]
            assert seen["reason"] is None
            assert (seen["address"], seen["peer_port"]) == (other.host, 8445)
            assert items[f"test-{farm.here.prefix}"]["runs_database"]
            assert not items[f"test-{farm.there.prefix}"]["runs_database"]


async def test_a_node_tells_what_happens_on_another_and_that_one_goes_on_by_its_ids(
    farm: TwoNodes,
) -> None:
    """A page that follows one node loses nothing when it has to follow another one."""
    path = f"/vms/{farm.desk.vm_id}"
    await start_on(farm.desk, farm.there)
    async with farm.here.rest() as rest, farm.there.rest() as other:
        async with events(farm.here) as told, events(farm.there):
            await other.post(f"{path}/stop?wait=true")
            stopping = await told("stopping")
            await told("stopped")
        # What came after `stopping` is told by the other node, which has heard of it all.
        async with events(farm.there, last=stopping.id) as told:
            stopped = await told("stopped")
            assert stopped.id != stopping.id
            await rest.post(f"{path}/start?wait=true")
            await told("running")
        async with events(farm.here, last="another-process-7", kinds="") as told:
            assert (await told("resync")).name == "resync"


@asynccontextmanager
async def events(
    node: NodeProcess, *, last: str = "", kinds: str = "?kinds=vm"
) -> AsyncIterator[Callable[[str], Awaitable[SentEvent]]]:
    """A stream of a node's events: a function that reads on to that name, or state of a VM."""
    assert node.said is not None
    url = f"https://{node.host}:{node.said.admin_port}/api/v1/events{kinds}"
    headers = {"Authorization": f"Bearer {node.admin_token}"}
    if last:
        headers["Last-Event-ID"] = last
    async with ClientSession() as http, http.get(url, headers=headers, ssl=False) as answer:
        assert answer.status == 200
        reader, waiting = EventReader(), list[SentEvent]()

        async def until_told(wanted: str) -> SentEvent:
            async with asyncio.timeout(LIMIT_S):
                while True:
                    while waiting:
                        event = waiting.pop(0)
                        if wanted in {event.name, json.loads(event.data).get("state")}:
                            return event
                    piece = await answer.content.readany()
                    assert piece, "the stream has ended"
                    waiting.extend(reader.feed(piece))

        await until_told("hello")
        yield until_told


async def test_a_desktop_starts_again_where_its_users_home_is(farm: TwoNodes) -> None:
    """Whichever node is asked, once that node's load is known there."""
    await start_on(farm.desk, farm.there)
    path = f"/vms/{farm.desk.vm_id}"
    async with farm.here.rest() as rest:
        await rest.post(f"{path}/stop?wait=true")
        view = await persistently(rest, f"{path}/start?wait=true")
        assert view["node"] == f"test-{farm.there.prefix}"


async def test_a_node_that_died_is_told_of(farm: TwoNodes) -> None:
    """A user whose desktop it runs is told, and so is an administrator; nothing hangs."""
    desk = farm.desk
    await start_on(desk, farm.there)
    await farm.there.sigkill()
    async with farm.here.rest() as rest:
        async with desk.dial(at=farm.here) as connection:
            answer = await connection.connect(desk.vm_id)
        assert answer.status == 503, answer

        async def told() -> bool:
            view = await rest.get(f"/vms/{desk.vm_id}")
            return view["error"] is not None and "cannot be reached" in view["error"]

        await until(told, limit_s=LIMIT_S)
        with pytest.raises(Refused) as refused:
            await rest.post(f"/vms/{desk.vm_id}/stop?wait=true")
        assert refused.value.status == 503
        assert desk.vm_id in [vm["id"] for vm in (await rest.get("/vms"))["items"]]
        await farm.there.start()
        await until_vm(rest, desk.vm_id, state="running", error=None)


async def findings(node: NodeProcess) -> dict[str, tuple[str, str]]:
    """What the doctor says on the node's host of the farm: level and text, by subject."""
    process = await asyncio.create_subprocess_exec(
        *node.command("doctor", "--json", "--config", str(node.state_dir / "node.toml")),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(LIMIT_S):
        said, _ = await process.communicate()
    return {item["subject"]: (item["level"], item["text"]) for item in json.loads(said)}


async def test_the_doctor_tells_of_the_other_node_and_the_way_there(farm: TwoNodes) -> None:
    subject, netns = f"node test-{farm.there.prefix}", farm.here.netns
    level, text = (await findings(farm.here))[subject]
    assert (level, "UDP" in text and "TCP" in text) == ("ok", True), text
    ip_batch("link set eth0 mtu 1280", netns=netns)
    try:
        level, text = (await findings(farm.here))[subject]
        assert (level, "1,400 bytes" in text) == ("warning", True), text
    finally:
        ip_batch("link set eth0 mtu 1500", netns=netns)
    with udp_blocked(netns):
        level, text = (await findings(farm.here))[subject]
        assert (level, "nothing comes back" in text) == ("warning", True), text
    await farm.there.sigkill()
    found = await findings(farm.here)
    assert found[subject][0] == "warning"  # the last of its lines: no UDP, either
    assert found["node certificate"][0] == "ok"
    assert found["PostgreSQL"][0] == "warning"
    assert "the whole farm uses it" in found["PostgreSQL"][1]


@contextmanager
def udp_blocked(netns: str) -> Iterator[None]:
    """Let no datagram of the membership into the node's host."""
    rule = (
        "add table inet noudp; add chain inet noudp in { type filter hook input priority 0; };"
        " add rule inet noudp in udp dport 8446 drop; add rule inet noudp in udp sport 8446 drop"
    )
    inside = ("nsenter", f"--net=/run/netns/{netns}", "nft")
    subprocess.run([*inside, rule], check=True)
    try:
        yield
    finally:
        subprocess.run([*inside, "delete table inet noudp"], check=True)


async def test_a_node_that_was_removed_ends_although_its_way_to_the_database_is_closed(
    farm: TwoNodes, furnished: Farm
) -> None:
    """The first node, which runs the database, tells it so; it would wait for ever otherwise."""
    third = await furnished.add(node={"stop_guests": True})
    try:
        async with farm.here.rest() as rest:
            await remove_from_farm(third, rest)
        await ends_as_removed(third)
        # Nothing of it runs, and it cannot be started to be cleaned up.
        shutil.rmtree(third.state_dir / "state")
    finally:
        furnished.nodes.remove(third)
