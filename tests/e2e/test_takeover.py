"""A node is lost, and its desktop starts on another one that has the same homes."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from qvdnode.daemon.config import GUEST_NAME
from qvdnode.db.nodes import FENCE_GRACE_S, LEASE_TTL_S
from qvdnode.host import cgroups
from qvdnode.vm.core.lxc_config import guests_group
from tests.e2e.conftest import Screen
from tests.fixtures_postgres import PostgresServer, fresh_database
from tests.harness.client_program import said, shown
from tests.harness.farm import Desk, lend_image, make_desk, make_flavour, until_vm
from tests.harness.farm_network import copy_images, running_farm
from tests.harness.node import NodeProcess

pytestmark = pytest.mark.asyncio(loop_scope="session")

WINDOW_S = 60.0
RENEWED_S = 4.0
"""So long ago may the lease have been renewed when the node is killed."""
LOST_LIMIT_S = 60.0
"""TTL, grace and a start, on a loaded machine."""


class SharedHomes:
    """Two nodes with the same homes, and a user whose desktop may be taken over."""

    def __init__(self, nodes: list[NodeProcess], desk: Desk) -> None:
        self.nodes = nodes
        self.desk = desk

    def home_of(self, node: NodeProcess) -> Path:
        """The user's home as that node has it."""
        return node.state_dir / "homes" / str(self.desk.user_id) / "home"


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def farm(
    postgres_server: PostgresServer, icewm_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SharedHomes]:
    """One farm for the module; every test leaves both nodes serving."""
    shared = tmp_path_factory.mktemp("homes")
    shared.chmod(0o711)
    async with AsyncExitStack() as undo:
        dsn = await undo.enter_async_context(fresh_database(postgres_server))
        farm = await undo.enter_async_context(running_farm(2, dsn=dsn, homes=shared))
        nodes = farm.nodes
        async with nodes[0].rest() as rest:
            await lend_image(nodes[0], rest, "icewm", icewm_root)
            flavour = await make_flavour(rest, "office", "icewm", takeover="at_connect")
            desk = await make_desk(nodes[0], rest, "ana", flavour)
        copy_images(*nodes)
        yield SharedHomes(nodes, desk)


async def test_a_desktop_of_a_lost_node_starts_elsewhere_with_its_home(
    farm: SharedHomes, screen: Screen
) -> None:
    """Not before the lost node has ended its own: at no moment do two guests have the home."""
    vm_id = farm.desk.vm_id
    async with farm.nodes[0].rest() as rest:
        view = await rest.post(f"/vms/{vm_id}/start?wait=true")
    lost = next(node for node in farm.nodes if view["node"] == f"test-{node.prefix}")
    (other,) = (node for node in farm.nodes if node is not lost)
    (farm.home_of(lost) / "letter").write_text("Dear")
    assert guests_of(lost)
    async with shown(farm.desk, other, screen.display) as client:
        await said(client, "Connected")
        await screen.watcher.wait_new(WINDOW_S)
        began_s = time.monotonic()
        await lost.sigkill()
        watching = asyncio.create_task(never_both(lost, other))
        async with asyncio.timeout(LOST_LIMIT_S):
            await said(client, "Connected")
        waited_s = time.monotonic() - began_s
        assert waited_s > LEASE_TTL_S + FENCE_GRACE_S - RENEWED_S
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching
    assert not guests_of(lost)
    assert (farm.home_of(other) / "letter").read_text() == "Dear"
    async with other.rest() as rest:
        view = await until_vm(rest, vm_id, state="running")
        assert view["node"] == f"test-{other.prefix}"
        await lost.start()
        assert (await until_vm(rest, vm_id, state="running"))["node"] == view["node"]
        assert not guests_of(lost)
        await rest.post(f"/vms/{vm_id}/stop?wait=true")


async def never_both(lost: NodeProcess, other: NodeProcess) -> None:
    """Look 20 times a second whether both nodes have processes of guests."""
    while True:
        assert not (guests_of(lost) and guests_of(other)), "two guests of one desktop"
        await asyncio.sleep(0.05)


def guests_of(node: NodeProcess) -> set[int]:
    """The pids of all guests of that node, without LXC's monitors."""
    groups, above = cgroups.probe(), guests_group(f"{node.prefix}{GUEST_NAME}")
    names = {name for name in groups.children(above) if not name.startswith("monitor-")}
    return {pid for name in names for pid in groups.processes(f"{above}/{name}")}
