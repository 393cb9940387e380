"""The change of the farm's key."""

from qvdnode.admin.parts import AdminParts
from tests.integration.admin.checked_api import CheckedApi


async def test_the_key_is_changed_and_its_steps_are_told(api: CheckedApi) -> None:
    assert (await api.get("/farm/key")).body == {"step": "none", "waits_for": []}
    answer = await api.call("POST", "/farm/key", status=200)
    assert answer.body == {"step": "added", "waits_for": ["two"]}
    await api.call("POST", "/farm/key", status=409)
    assert (await api.get("/farm/key")).body == {"step": "added", "waits_for": ["two"]}
    audited = {entry["action"] for entry in (await api.get("/audit"))["items"]}
    assert "node.rotate-key" in audited


async def test_the_removal_of_a_node_begins_a_change(api: CheckedApi, parts: AdminParts) -> None:
    """It knows the key. A change that runs already does not keep it from being removed."""
    for name in ("one", "two"):
        seat = await parts.nodes.join(name, "boot-1", f"10.0.0.{len(name)}")
        await parts.nodes.leave(seat.node_id, seat.epoch, guests_stay=False)
        await api.call("DELETE", f"/nodes/{seat.node_id}", status=204)
        assert (await api.get("/farm/key"))["step"] == "added"
