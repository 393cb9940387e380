"""The WebSocket of a console: who may open it, what it carries, and that it is recorded."""

import pytest
from aiohttp import WSMsgType, WSServerHandshakeError

from qvdnode.admin.parts import AdminParts
from qvdnode.model.role import Role
from qvdnode.model.vm_state import DisplayState, VmState
from tests.fakes.fleet import FakeFleet
from tests.integration.admin.checked_api import CheckedApi
from tests.integration.admin.sample_farm import SampleFarm, order_of
from tests.integration.admin.test_roles import with_token
from tests.waiting import until

pytestmark = pytest.mark.postgres


def path_of(farm: SampleFarm) -> str:
    return f"/console/{farm.vm_id}"


async def refused(api: CheckedApi, path: str, **headers: str) -> int:
    """The status with which it is not opened."""
    with pytest.raises(WSServerHandshakeError) as caught:
        await api.client.ws_connect(
            path, headers={"Authorization": f"Bearer {api.token}", **headers}
        )
    return caught.value.status


async def recorded(api: CheckedApi) -> list[str]:
    items = (await api.get("/audit"))["items"]
    return [item["object_id"] for item in items if item["action"] == "vm.console"]


async def test_what_is_typed_and_shown_is_carried_and_recorded(
    parts: AdminParts, api: CheckedApi, farm: SampleFarm, fleet: FakeFleet
) -> None:
    fleet.put(await order_of(parts, farm), VmState.RUNNING, DisplayState.CONNECTED, viewer=True)
    headers = {"Authorization": f"Bearer {api.token}"}
    async with api.client.ws_connect(path_of(farm), headers=headers) as socket:
        assert await socket.receive_bytes() == b"login: "
        await socket.send_bytes(b"date\n")
        assert await socket.receive_bytes() == b"DATE\n"
        assert await refused(api, path_of(farm)) == 409
        await socket.send_bytes(b"exit\n")
        assert await socket.receive_bytes() == b"EXIT\n"
        assert (await socket.receive()).type is WSMsgType.CLOSE
    await until(lambda: fleet.console_key == "", what="the console to be given back")
    assert (await recorded(api))[-1] == str(farm.vm_id)
    async with api.client.ws_connect(path_of(farm), headers=headers) as socket:
        assert await socket.receive_bytes() == b"login: "
    await until(lambda: fleet.console_key == "", what="the console to be given back")


async def test_whom_it_is_refused(
    parts: AdminParts, api: CheckedApi, farm: SampleFarm, fleet: FakeFleet
) -> None:
    path = path_of(farm)
    assert await refused(api, path) == 404  # it does not run
    fleet.put(await order_of(parts, farm), VmState.RUNNING, DisplayState.CONNECTED, viewer=True)
    assert await refused(api, "/console/99999") == 404
    assert await refused(await with_token(api, "helper", role=Role.HELPDESK), path) == 403
    other = (await api.post("/tenants", {"name": "acme"}))["id"]
    bound = await with_token(api, "acme-admin", role="admin", tenant_id=other)
    assert await refused(bound, path) == 404
    assert await refused(api, path, Origin="https://elsewhere.example") == 403
    assert await refused(CheckedApi(api.client, "wrong"), path) == 401
    headers = {"Authorization": f"Bearer {api.token}"}
    async with api.client.get(path, headers=headers) as answer:
        assert answer.status == 422
        assert "qvd vm console" in (await answer.json())["detail"]
    assert fleet.console_key == ""
