from typing import Any

from qvdnode.admin.parts import AdminParts
from qvdnode.model.ids import NodeId, UserId, VmId
from tests.integration.admin.checked_api import CheckedApi


async def test_sessions_are_listed_by_vm_user_and_whether_they_are_open(
    api: CheckedApi, parts: AdminParts
) -> None:
    sessions = parts.records.sessions
    first = await sessions.opened(VmId(1), UserId(2), NodeId(3), source="10.0.0.9", client="linux")
    await sessions.closed(first, reason="the client left", bytes_in=5, bytes_out=7)
    await sessions.opened(VmId(1), UserId(4), NodeId(3), source="10.0.0.8", client=None)

    async def found(**query: Any) -> list[str]:
        return [item["source"] for item in (await api.get("/sessions", **query))["items"]]

    assert await found() == ["10.0.0.9", "10.0.0.8"]
    assert await found(vm_id=1, user_id=2) == ["10.0.0.9"]
    assert await found(open="true") == ["10.0.0.8"]
    assert await found(vm_id=9) == []
    closed = (await api.get("/sessions", limit=1))["items"][0]
    assert (closed["bytes_in"], closed["bytes_out"]) == (5, 7)
    assert closed["reason"] == "the client left"
    assert closed["closed_at"] >= closed["opened_at"]
