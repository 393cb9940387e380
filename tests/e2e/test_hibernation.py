"""Desktops that nobody uses hibernate in a compressed swap device, and come back at once."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from qvdnode.host.cgroups import probe
from qvdnode.host.merging import merges
from tests.e2e.conftest import NUMBERS, Screen
from tests.e2e.guest_processes import guest_pids, pids_by_name
from tests.e2e.test_desktop import viewing
from tests.harness.farm import Desk, lend_image, make_desk, make_flavour, until_vm
from tests.harness.node import NodeProcess, running_node
from tests.harness.node import test_root as state_root
from tests.harness.rest import Rest
from tests.waiting import until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.alone]
LIMIT_S = 40.0
MEMORY = {"ksm": "tenant", "zram_pct": 10, "warm_pct": 100, "busy_pct": 100}
"""Everybody hibernates as soon as nobody uses the desktop."""


@dataclass
class Farm:
    """A node whose desktops hibernate after a second, and one desk."""

    node: NodeProcess
    desk: Desk


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def own_node(icewm_root: Path) -> AsyncIterator[NodeProcess]:
    """One for the module; every test leaves it serving."""
    async with running_node(state_root(), node={"stop_guests": True}, memory=dict(MEMORY)) as node:
        async with node.rest() as rest:
            await lend_image(node, rest, "icewm", icewm_root)
            await make_flavour(rest, "office", "icewm", hibernate_after_s=1)
        yield node
    swaps = Path("/proc/swaps").read_text(encoding="ascii")
    assert "zram" not in swaps, "the node has left its swap device"


@pytest_asyncio.fixture(loop_scope="session")
async def farm(own_node: NodeProcess) -> AsyncIterator[Farm]:
    """A desk for each test, stopped at its end."""
    async with own_node.rest() as rest:
        flavour = (await rest.get("/flavours?name=office"))["items"][0]["id"]
        desk = await make_desk(own_node, rest, f"hiber{next(NUMBERS)}", flavour)
    yield Farm(own_node, desk)
    async with own_node.rest() as rest:
        await rest.post(f"/vms/{desk.vm_id}/stop?wait=true")


def group(farm: Farm) -> str:
    return f"{farm.node.prefix}qvdguests/{farm.node.prefix}qvd-{farm.desk.vm_id}"


async def hibernated(farm: Farm, rest: Rest, screen: Screen, folder: Path) -> None:
    """The desk after its user has looked at it and left."""
    async with viewing(farm.desk, screen, folder):
        pass
    await until_vm(rest, farm.desk.vm_id, LIMIT_S, state="hibernated")

    def asleep() -> bool:
        memory = probe().memory(group(farm))
        return memory.swapped_bytes > memory.used_bytes

    await until(asleep, limit_s=LIMIT_S, what="its memory to be in swap")


async def test_it_hibernates_and_comes_back_with_its_programs(
    farm: Farm, screen: Screen, tmp_path: Path
) -> None:
    async with farm.node.rest() as rest:
        await hibernated(farm, rest, screen, tmp_path)
        assert all(merges(pid) for pid in guest_pids(farm.desk)), "KSM cannot merge this desktop"
        before = pids_by_name(farm.desk, {"nxagent", "icewm"})
        assert len(before) == 2
        async with viewing(farm.desk, screen, tmp_path):
            view = await until_vm(rest, farm.desk.vm_id, state="running", display="connected")
            assert view["generation"] == 1
            assert pids_by_name(farm.desk, {"nxagent", "icewm"}) == before, "a program was lost"


async def test_a_killed_node_finds_it_hibernated_and_thaws_it(
    farm: Farm, screen: Screen, tmp_path: Path
) -> None:
    async with farm.node.rest() as rest:
        await hibernated(farm, rest, screen, tmp_path)
    await farm.node.sigkill()
    assert probe().is_frozen(group(farm))
    await farm.node.start()
    assert probe().is_frozen(group(farm))
    async with farm.node.rest() as rest:
        await until_vm(rest, farm.desk.vm_id, state="hibernated", display="suspended")
        async with viewing(farm.desk, screen, tmp_path):
            view = await until_vm(rest, farm.desk.vm_id, state="running", display="connected")
            assert view["generation"] == 1


async def test_a_client_that_comes_in_the_moment_of_the_freeze_is_served(
    farm: Farm, screen: Screen, tmp_path: Path
) -> None:
    async with farm.node.rest() as rest:
        before = None
        for round_ in range(3):
            async with viewing(farm.desk, screen, tmp_path / str(round_)):
                pids = pids_by_name(farm.desk, {"nxagent", "icewm"})
                assert before in {None, *[tuple(sorted(pids.items()))]}, "a program was lost"
                before = tuple(sorted(pids.items()))
            # Its memory is on its way to swap from here on.
            await until(lambda: probe().is_frozen(group(farm)), limit_s=LIMIT_S, what="the freeze")
        async with viewing(farm.desk, screen, tmp_path / "last"):
            view = await until_vm(rest, farm.desk.vm_id, state="running", display="connected")
            assert view["generation"] == 1
            assert not probe().is_frozen(group(farm))


async def test_a_hibernated_desktop_stops_in_order(
    farm: Farm, screen: Screen, tmp_path: Path
) -> None:
    async with farm.node.rest() as rest:
        await hibernated(farm, rest, screen, tmp_path)
        stopped = await rest.post(f"/vms/{farm.desk.vm_id}/stop?wait=true")
        assert stopped["state"] == "stopped"
        assert guest_pids(farm.desk) == []
