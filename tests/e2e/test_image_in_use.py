"""An image outlives its removal for as long as a desktop runs on it, and the node's own restart.

The node's state folder is behind a link here, as on hosts where /var/lib is on another disk.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.guest_processes import in_guest
from tests.harness.farm import import_image, make_desk, make_flavour, until_vm
from tests.harness.node import NodeProcess, new_node
from tests.harness.node import test_root as state_root
from tests.harness.rest import Refused
from tests.integration.image.tiny_root import complete, stream, tar

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def linked(tmp_path: Path, icewm_root: Path) -> AsyncIterator[NodeProcess]:
    """A node with the images `old` and `new`, that knows its state folder by a link."""
    node = new_node(state_root())
    link = tmp_path / "link"
    link.symlink_to(node.state_dir)
    node.settings["node"] = {"state_dir": str(link)}
    try:
        await node.start()
        async with node.rest() as rest:
            await import_image(rest, "old", icewm_root)
            await rest.call("POST", "/images/new/versions", data=stream(tar(complete()), 1 << 20))
        yield node
    finally:
        await node.remove()


async def test_an_image_is_not_deleted_under_a_desktop_whose_flavour_has_another_by_now(
    linked: NodeProcess,
) -> None:
    async with linked.rest() as rest:
        flavour = await make_flavour(rest, "office", "old")
        desk = await make_desk(linked, rest, "alice", flavour)
        started = await rest.post(f"/vms/{desk.vm_id}/start?wait=true")
        await rest.call("PATCH", f"/flavours/{flavour}", {"image": "new"})
        with pytest.raises(Refused, match=r"409.*still runs"):
            await rest.call("DELETE", "/images/old")
    await linked.sigkill()
    await linked.start()
    async with linked.rest() as rest:
        adopted = await until_vm(rest, desk.vm_id, state="running")
        assert adopted["generation"] == 1, started
        with pytest.raises(Refused, match=r"409.*still runs"):
            await rest.call("DELETE", "/images/old")
        assert "icewm" in in_guest(desk, "ls /usr/bin/icewm")
        await rest.post(f"/vms/{desk.vm_id}/stop?wait=true")
        await rest.call("DELETE", "/images/old")
        assert [image["name"] for image in (await rest.get("/images"))["items"]] == ["new"]
    left = {path.name for path in (linked.state_dir / "images").iterdir()}
    assert left == {"2", "store"}
