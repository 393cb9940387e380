from tests.integration.admin.checked_api import CheckedApi


async def test_a_token_works_until_it_is_revoked(api: CheckedApi) -> None:
    issued = await api.post("/tokens", {"name": "backup"})
    other = CheckedApi(api.client, issued["token"])
    await other.get("/tenants")
    await api.call("DELETE", f"/tokens/{issued['id']}", status=204)
    assert (await other.get("/tenants", 401))["code"] == "unauthenticated"
    await api.call("DELETE", f"/tokens/{issued['id']}", status=404)


async def test_a_secret_is_shown_once(api: CheckedApi) -> None:
    issued = await api.post("/tokens", {"name": "backup"})
    api.texts.clear()
    listed = await api.get("/tokens")
    assert [item["name"] for item in listed["items"]] == ["tests", "backup"]
    await api.get("/audit")
    assert issued["token"] not in "".join(api.texts)


async def test_a_name_is_taken_once(api: CheckedApi) -> None:
    assert (await api.post("/tokens", {"name": "tests"}, 409))["code"] == "conflict"
