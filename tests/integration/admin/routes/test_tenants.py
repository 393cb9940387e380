from tests.integration.admin.checked_api import CheckedApi
from tests.integration.admin.sample_farm import SampleFarm


async def test_a_tenant_is_made_shown_blocked_and_deleted(api: CheckedApi) -> None:
    acme = await api.post("/tenants", {"name": "acme"})
    path = f"/tenants/{acme['id']}"
    assert acme.body == {"id": acme["id"], "name": "acme", "blocked": False, "assistance": True}
    assert (await api.get(path)).body == acme.body
    assert (await api.call("PATCH", path, {"blocked": True}, status=200))["blocked"] is True
    said = await api.call("PATCH", path, {"assistance": False}, status=200)
    assert (said["blocked"], said["assistance"]) == (True, False)
    await api.call("DELETE", path, status=204)
    await api.get(path, 404)
    await api.call("DELETE", path, status=404)


async def test_tenants_are_listed_page_by_page_and_by_name(api: CheckedApi) -> None:
    for name in ("acme", "beta"):
        await api.post("/tenants", {"name": name})
    first = await api.get("/tenants", limit=2)
    rest = await api.get("/tenants", limit=2, after=first["next_after"])
    assert [item["name"] for item in first["items"] + rest["items"]] == ["default", "acme", "beta"]
    assert rest["next_after"] is None
    assert [item["name"] for item in (await api.get("/tenants", name="beta"))["items"]] == ["beta"]
    assert (await api.get("/tenants", name="gone"))["items"] == []


async def test_a_name_is_taken_once(api: CheckedApi) -> None:
    await api.post("/tenants", {"name": "acme"})
    assert (await api.post("/tenants", {"name": "acme"}, 409))["code"] == "conflict"


async def test_a_name_that_would_break_logins_is_refused(api: CheckedApi) -> None:
    for name in ("", "A", "a@b", "a#b", "a b", "a\x00", "x" * 65):
        assert (await api.post("/tenants", {"name": name}, 422))["field"] == "name"


async def test_a_tenant_with_users_stays(api: CheckedApi, farm: SampleFarm) -> None:
    refused = await api.call("DELETE", f"/tenants/{farm.tenant_id}", status=409)
    assert refused["code"] == "conflict"
