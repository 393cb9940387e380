"""The change of the farm's key."""

from tests.integration.admin.checked_api import CheckedApi


async def test_the_key_is_changed_and_its_steps_are_told(api: CheckedApi) -> None:
    assert (await api.get("/farm/key")).body == {"step": "none", "waits_for": []}
    answer = await api.call("POST", "/farm/key", status=200)
    assert answer.body == {"step": "added", "waits_for": ["two"]}
    await api.call("POST", "/farm/key", status=409)
    assert (await api.get("/farm/key")).body == {"step": "added", "waits_for": ["two"]}
    audited = {entry["action"] for entry in (await api.get("/audit"))["items"]}
    assert "node.rotate-key" in audited
