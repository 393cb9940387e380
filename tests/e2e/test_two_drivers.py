"""A real node with two drivers, LXC and one in memory, whose desktops run at the same time."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.harness import two_drivers
from tests.harness.farm import lend_image, make_desk, make_flavour, until_vm, vm_view
from tests.harness.node import NodeProcess, new_node
from tests.harness.node import test_root as state_root

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def two() -> AsyncIterator[NodeProcess]:
    """A node that has both drivers."""
    node = new_node(state_root())
    node.program = two_drivers.PROGRAM
    try:
        await node.start()
        yield node
    finally:
        await node.remove()


@pytest.mark.timeout(120)
async def test_desktops_of_two_drivers_run_at_once_and_are_adopted_each_by_its_own(
    two: NodeProcess, icewm_root: Path
) -> None:
    tag = hashlib.sha256(str(two.state_dir).encode()).hexdigest()[:4]
    async with two.rest() as rest:
        await lend_image(two, rest, "icewm", icewm_root)
        assert {driver["name"] for driver in (await rest.get("/node"))["drivers"]} == {
            "lxc",
            "memory",
        }
        kinds = {}
        for driver in ("lxc", "memory"):
            kinds[driver] = await make_flavour(rest, driver, "icewm", driver=driver)
        lxc, memory = [
            await make_desk(two, rest, f"{driver}{tag}", flavour)
            for driver, flavour in kinds.items()
        ]
        for desk in (lxc, memory):
            await rest.post(f"/vms/{desk.vm_id}/start")
            await until_vm(rest, desk.vm_id, state="running")
        shown = {vm["name"]: vm["driver"] for vm in (await rest.get("/vms"))["items"]}
        assert shown == {lxc.login: "lxc", memory.login: "memory"}
        assert (await rest.get("/nodes"))["items"][0]["drivers"] == ["lxc", "memory"]

        # A client sees its progress up to a display that listens, whatever runs the guest.
        async with memory.dial() as client:
            answer = await client.connect(memory.vm_id)
            assert answer.status == 101, answer
        await until_vm(rest, memory.vm_id, viewer=False)

        # A flavour's new driver takes effect at the next start.
        await rest.call("PATCH", f"/flavours/{kinds['memory']}", {"driver": "lxc"})
        assert (await vm_view(rest, memory.vm_id))["driver"] == "memory"

    await two.sigkill()
    await two.start()
    async with two.rest() as rest:
        # The guests in memory died with the process; LXC's did not.
        kept = await vm_view(rest, lxc.vm_id)
        assert (kept["state"], kept["driver"]) == ("running", "lxc")
        gone = await until_vm(rest, memory.vm_id, state="failed")
        assert "ended while no node ran" in gone["error"]
        await rest.post(f"/vms/{memory.vm_id}/start")
        started = await until_vm(rest, memory.vm_id, state="running")
        assert started["driver"] == "lxc"
