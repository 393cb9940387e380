"""`qvdnode demo --nodes 3`: a farm from nothing, and a node lost: the same home elsewhere."""

import asyncio
import signal
from pathlib import Path

import pytest

from qvdnode.cli.demo.farm_nodes import guests_of
from qvdnode.cli.demo.farm_plan import FarmPlan, node_name
from qvdnode.cli.demo.plan import DemoPlan
from qvdnode.cli.demo.traces import processes_of
from qvdnode.db.nodes import FENCE_GRACE_S, LEASE_TTL_S
from qvdnode.host import cgroups
from tests.e2e.test_demo import Demo, nothing_left, state_dir
from tests.harness.host_traces import alive, family, traces
from tests.waiting import until

__all__ = ["state_dir"]

COUNT = 3
RENEWED_S = 4.0
"""So long ago may the lease have been renewed when the node is lost."""
BACK_LIMIT_S = 60.0
"""TTL, grace and a start, on a loaded machine."""


@pytest.mark.timeout(400)  # imports an image
async def test_the_node_of_a_desktop_is_lost_and_its_user_is_back(
    state_dir: Path, icewm_root: Path
) -> None:
    farm = FarmPlan(DemoPlan(state_dir, "demo", None, 0, 0, None, once=False), COUNT)
    options = ("--nodes", str(COUNT), "--root", str(icewm_root), "--kill-after-s", "0")
    async with Demo(state_dir, *options) as demo:
        ready = await demo.until("ready")
        assert set(ready["nodes"]) == {node_name(member) for member in farm.members}
        assert {"first_window", "placed"} <= {
            told["event"] for told in (await demo.until("first_window"), await demo.until("placed"))
        }
        placed = demo.event("placed")
        assert any(placed["node"] in reason for reason in placed["reasons"])
        lost = (await demo.until("node_killed"))["node"]
        assert lost == placed["node"]
        (member,) = (one for one in farm.members if node_name(one) == lost)
        assert processes_of(member) == []
        assert not cgroups.probe().processes(guests_of(member))

        back = await demo.until("back")
        assert back["node"] != lost
        assert back["home_kept"]
        assert LEASE_TTL_S + FENCE_GRACE_S - RENEWED_S < back["seconds"] < BACK_LIMIT_S
        while (await demo.until("step"))["step"] != "returned":
            pass
        assert processes_of(member)
        ours = family(demo.running.pid)
        demo.running.send_signal(signal.SIGINT)
        await demo.until(None)
    assert demo.running.returncode == 0, demo.events[-5:]
    assert demo.event("ended")["left"] == []
    assert await until(lambda: alive(ours) == set(), what=f"the end of {alive(ours)}")
    await nothing_left(state_dir)
    assert await until(lambda: not any(map(traces, farm.members)), what="traces to be gone")


@pytest.mark.parametrize(
    "options", [("--driver", "docker"), ("--client-port", "9000"), ("--root", "/no/such/folder")]
)
async def test_what_a_farm_cannot_have_is_told_at_once(
    state_dir: Path, options: tuple[str, str]
) -> None:
    async with Demo(state_dir, "--nodes", "2", *options) as demo:
        await demo.until(None)
    assert demo.running.returncode == 2
    assert await asyncio.to_thread(lambda: list(state_dir.iterdir())) == []
