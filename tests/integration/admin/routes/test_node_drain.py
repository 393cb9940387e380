"""A node that is being emptied."""

from qvdnode.admin.parts import AdminParts
from tests.integration.admin.checked_api import CheckedApi


async def test_a_node_is_emptied_and_filled_again(api: CheckedApi, parts: AdminParts) -> None:
    """It stays so when its process starts again."""
    seat = await parts.nodes.join("node1", "boot-1", "10.0.0.1")
    path = f"/nodes/{seat.node_id}"
    assert (await api.get(path))["reason"] is None
    answer = await api.call("POST", f"{path}/drain", {"move": True}, status=200)
    assert answer.body == {"drain": "move", "homes": 0}
    await parts.nodes.join("node1", "boot-1", "10.0.0.1")
    seen = (await api.get(path)).body
    assert (seen["drain"], seen["reason"]) == ("move", "an administrator empties it")
    await api.call("POST", f"{path}/drain", {}, status=200)
    assert (await api.get(path))["drain"] == "stay"
    await api.call("POST", f"{path}/undrain", status=200)
    seen = (await api.get(path)).body
    assert (seen["drain"], seen["reason"]) == ("no", None)
    audited = {entry["action"] for entry in (await api.get("/audit"))["items"]}
    assert {"node.drain", "node.undrain"} <= audited
    await api.call("POST", "/nodes/999/drain", {}, status=404)
