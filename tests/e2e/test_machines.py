"""A desktop in a machine of its own, from the client's window to the end, over a killed node."""

import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.conftest import Screen
from tests.harness.farm import Desk, import_image, make_desk, make_flavour, until_vm
from tests.harness.node import NodeProcess, new_node
from tests.harness.node import test_root as state_root
from tests.harness.qvd import Viewer
from tests.harness.rest import Rest

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.kvm, pytest.mark.nx]

PATIENCE_S = 150.0
"""Without KVM a machine takes a minute for what takes seconds, on a busy host."""
SLOW = {"boot_limit_s": PATIENCE_S, "session_limit_s": 90.0, "attach_limit_s": 90.0}


@pytest_asyncio.fixture(loop_scope="session")
async def node() -> AsyncIterator[NodeProcess]:
    """A node whose machines run without KVM, which not every host that runs tests has."""
    made = new_node(state_root(), vm=SLOW, **{"drivers.kvm": {"accelerator": "tcg"}})
    try:
        await made.start()
        yield made
    finally:
        await made.remove()


async def shown(desk: Desk, screen: Screen, folder: Path) -> bytes:
    """Connect, and wait until the desktop is drawn; the picture."""
    async with desk.dial() as connection:
        answer = await connection.connect(desk.vm_id, link="lan", geometry="800x600")
        assert answer.status == 101, answer
        async with Viewer(connection, screen.display, folder):
            window = await screen.watcher.wait_new(PATIENCE_S)
            return await screen.watcher.drawn(window, PATIENCE_S)


async def require_told_panic(rest: Rest, desk: Desk) -> None:
    """An administrator at its console has its kernel panic, which is told; both are recorded."""
    await rest.post(f"/vms/{desk.vm_id}/start?wait=true")
    console = await rest.at_console(desk.vm_id, "echo c > /proc/sysrq-trigger\n")
    failed = await until_vm(rest, desk.vm_id, state="failed", limit_s=PATIENCE_S)
    await console.close()
    assert "its kernel panicked (sysrq triggered crash)" in failed["error"]
    audit = (await rest.get("/audit"))["items"]
    assert [one["object_id"] for one in audit if one["action"] == "vm.console"] == [str(desk.vm_id)]


@pytest.mark.timeout(400)
async def test_a_desktop_in_a_machine_is_shown_survives_the_node_and_ends(
    node: NodeProcess, machine_root: Path, screen: Screen, tmp_path: Path
) -> None:
    tag = hashlib.sha256(str(node.state_dir).encode()).hexdigest()[:4]
    async with node.rest() as rest:
        await import_image(rest, "icewm", machine_root)
        flavour = await make_flavour(rest, "own-kernel", "icewm", driver="kvm")
        desk = await make_desk(node, rest, f"machine{tag}", flavour)
        picture = await shown(desk, screen, tmp_path / "first")
        assert picture.startswith(b"\x89PNG")
        if (pictures := os.environ.get("QVDTEST_PICTURES")) is not None:
            (Path(pictures) / "kvm.png").write_bytes(picture)
        first = await until_vm(rest, desk.vm_id, state="running", display="suspended")
        assert first["driver"] == "kvm"
        (kvm,) = [one for one in (await rest.get("/node"))["drivers"] if one["name"] == "kvm"]
        assert kvm["problem"] is None
        assert "slower" in kvm["warning"]
        assert "slower" in (await rest.get(f"/vms/{desk.vm_id}"))["driver_warning"]
    await node.sigkill()
    await node.start()
    async with node.rest() as rest:
        kept = await until_vm(rest, desk.vm_id, state="running", display="suspended")
        assert kept["generation"] == first["generation"]
        await shown(desk, screen, tmp_path / "second")
        await rest.post(f"/vms/{desk.vm_id}/stop?wait=true")
        await until_vm(rest, desk.vm_id, state="stopped", limit_s=PATIENCE_S)
        await require_told_panic(rest, desk)
    assert not list((node.state_dir / "kvm").glob("*.console"))
