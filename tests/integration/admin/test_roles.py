"""Tokens with roles, over every endpoint there is, and tokens of one tenant."""

import pytest

from qvdnode.admin.access import ACCESS, Reach
from qvdnode.admin.endpoint import Permission
from qvdnode.admin.endpoints import API_PREFIX, ENDPOINTS
from qvdnode.admin.parts import AdminParts
from qvdnode.model.role import Role
from tests.integration.admin.checked_api import CheckedApi
from tests.integration.admin.sample_farm import SampleFarm

STREAMED = {"events", "import_version"}
"""They do not end by themselves, or want a body of their own."""


async def with_token(api: CheckedApi, name: str, **fields: object) -> CheckedApi:
    issued = await api.post("/tokens", {"name": name, **fields})
    return CheckedApi(api.client, issued["token"])


@pytest.mark.parametrize("role", [Role.VIEWER, Role.HELPDESK])
async def test_a_role_is_refused_what_it_may_not_do(api: CheckedApi, role: Role) -> None:
    mine = await with_token(api, "limited", role=role)
    for endpoint in ENDPOINTS:
        name = endpoint.handler.__name__
        if name in STREAMED or endpoint.permission is not Permission.OPERATOR:
            continue
        path = API_PREFIX + endpoint.path.replace("{id}", "99999").replace("{name}", "nothing")
        said = await mine.call(endpoint.method, path)
        assert (said.status == 403) == (not role.covers(ACCESS[name][0])), (name, said.status)
    session = await mine.get("/session")
    assert (session["role"], session["tenant_id"]) == (role, None)
    assert ("POST /vms/{id}/start" in session["calls"]) == (role is Role.HELPDESK)
    assert "DELETE /vms/{id}" not in session["calls"]


async def test_a_token_of_one_tenant_knows_no_other(
    api: CheckedApi, farm: SampleFarm, parts: AdminParts
) -> None:
    other = (await api.post("/tenants", {"name": "acme"}))["id"]
    ben = await api.post("/users", {"tenant_id": other, "login": "ben", "password": "x" * 12})
    mine = await with_token(api, "acme-admin", role="admin", tenant_id=other)
    for name, (_, reach) in ACCESS.items():
        found = [one for one in ENDPOINTS if one.handler.__name__ == name]
        if not found or name in STREAMED:
            continue
        where = {Reach.TENANT: farm.tenant_id, Reach.USER: farm.user_id, Reach.VM: farm.vm_id}
        number = where.get(reach, farm.flavour_id)
        path = API_PREFIX + found[0].path.replace("{id}", str(number)).replace("{name}", "icewm")
        if reach is Reach.FARM:
            await mine.call(found[0].method, path, status=403)
        elif reach in {Reach.TENANT, Reach.USER, Reach.FLAVOUR, Reach.VM}:
            said = await mine.call(found[0].method, path)
            # What cannot be read is refused before the object is looked up.
            assert said.status == 404 or (
                said.status in {400, 415, 422} and found[0].method != "GET"
            )
        elif reach is Reach.LIST:
            await mine.call("GET", path, status=403, query={"tenant_id": farm.tenant_id})
    assert [one["login"] for one in (await mine.get("/users"))["items"]] == ["ben"]
    assert [one["name"] for one in (await mine.get("/tenants"))["items"]] == ["acme"]
    assert (await mine.get("/tenants", name="default"))["items"] == []
    for path in ("/vms", "/flavours", "/sessions"):
        assert (await mine.get(path))["items"] == []
    draft = {"login": "eve", "password": "x" * 12}
    await mine.post("/users", {**draft, "tenant_id": farm.tenant_id}, status=403)
    await mine.post("/users", {**draft, "tenant_id": other})
    vm = {"user_id": ben["id"], "flavour_id": farm.flavour_id, "name": "desk"}
    await mine.post("/vms", vm, status=404)
    await mine.call("PATCH", f"/vms/{farm.vm_id}", {"blocked": True}, status=404)
    assert not (await api.get(f"/vms/{farm.vm_id}"))["blocked"]


async def test_a_token_for_a_tenant_that_is_not_there(api: CheckedApi) -> None:
    await api.post("/tokens", {"name": "x", "tenant_id": 99999}, status=404)


async def test_a_token_goes_with_its_tenant(api: CheckedApi) -> None:
    other = (await api.post("/tenants", {"name": "acme"}))["id"]
    mine = await with_token(api, "acme-admin", tenant_id=other)
    listed = (await api.get("/tokens"))["items"]
    assert [(one["role"], one["tenant"]) for one in listed if one["name"] == "acme-admin"] == [
        ("admin", "acme")
    ]
    await api.call("DELETE", f"/tenants/{other}", status=204)
    await mine.call("GET", "/users", status=401)


async def test_a_link_logs_in_with_the_role_of_its_token(api: CheckedApi) -> None:
    mine = await with_token(api, "desk", role="helpdesk")
    link = await mine.post("/session/links")
    said = await CheckedApi(api.client, None).call(
        "POST",
        f"{API_PREFIX}/session",
        {"link": link["url"].partition("#")[2]},
        headers={"Sec-Fetch-Site": "same-origin"},
        status=200,
    )
    assert said["role"] == "helpdesk"
