from collections.abc import Callable

import pytest

from qvdnode.admin.parts import AdminParts
from qvdnode.db.ownership import Ownership
from qvdnode.db.pool import Database
from qvdnode.db.user_tokens import UserTokens
from qvdnode.model.errors import Unauthenticated
from qvdnode.model.ids import VmId
from tests.integration.admin.checked_api import CheckedApi
from tests.integration.admin.sample_farm import PASSWORD, SampleFarm


async def logs_in(parts: AdminParts, password: str) -> bool:
    try:
        principal = await parts.accounts.authenticator.basic("alice", password, source="10.0.0.9")
    except Unauthenticated:
        return False
    return principal.login == "alice"


async def test_a_user_logs_in_with_the_password_given_here(
    api: CheckedApi, farm: SampleFarm, parts: AdminParts
) -> None:
    assert await logs_in(parts, PASSWORD)
    shown = await api.get(f"/users/{farm.user_id}")
    assert set(shown.body) == {
        "id",
        "tenant_id",
        "tenant",
        "login",
        "account",
        "blocked",
        "created_at",
        "home_node",
    }


async def test_a_new_password_works_at_once_and_the_old_one_no_more(
    api: CheckedApi, farm: SampleFarm, parts: AdminParts
) -> None:
    assert await logs_in(parts, PASSWORD)
    path = f"/users/{farm.user_id}/password"
    await api.call("PUT", path, {"password": "another one"}, status=204)
    assert await logs_in(parts, "another one")
    assert not await logs_in(parts, PASSWORD)


async def test_a_blocked_user_is_out_at_once(
    api: CheckedApi, farm: SampleFarm, parts: AdminParts
) -> None:
    assert await logs_in(parts, PASSWORD)
    path = f"/users/{farm.user_id}"
    assert (await api.call("PATCH", path, {"blocked": True}, status=200))["blocked"]
    assert not await logs_in(parts, PASSWORD)
    await api.call("PATCH", path, {"blocked": False}, status=200)
    assert await logs_in(parts, PASSWORD)


async def test_users_of_a_blocked_tenant_are_out_at_once(
    api: CheckedApi, farm: SampleFarm, parts: AdminParts
) -> None:
    assert await logs_in(parts, PASSWORD)
    await api.call("PATCH", f"/tenants/{farm.tenant_id}", {"blocked": True}, status=200)
    assert not await logs_in(parts, PASSWORD)


async def test_the_tokens_of_a_user_are_revoked_and_the_password_goes_on_working(
    api: CheckedApi, farm: SampleFarm, parts: AdminParts, database: Database
) -> None:
    authenticator = parts.accounts.authenticator
    principal = await authenticator.basic("alice", PASSWORD, source="10.0.0.9")
    _, token = await UserTokens(database).issue(principal)
    await authenticator.bearer(token, source="10.0.0.9")
    await api.call("DELETE", f"/users/{farm.user_id}/tokens", status=204)
    with pytest.raises(Unauthenticated):
        await authenticator.bearer(token, source="10.0.0.9")
    assert await logs_in(parts, PASSWORD)
    await api.call("DELETE", "/users/999999/tokens", status=404)
    audit = await api.get("/audit")
    assert "user.tokens" in [item["action"] for item in audit["items"]]


async def test_users_are_found_by_tenant_and_login(api: CheckedApi, farm: SampleFarm) -> None:
    found = await api.get("/users", tenant_id=farm.tenant_id, login="alice")
    assert [item["id"] for item in found["items"]] == [farm.user_id]
    assert (await api.get("/users", login="bob"))["items"] == []


async def test_a_login_is_taken_once_per_tenant(api: CheckedApi, farm: SampleFarm) -> None:
    alice = {"tenant_id": farm.tenant_id, "login": "alice", "password": "x"}
    await api.post("/users", alice, 409)
    acme = await api.post("/tenants", {"name": "acme"})
    await api.post("/users", {**alice, "tenant_id": acme["id"]})


async def test_a_user_of_no_tenant_is_not_made(api: CheckedApi) -> None:
    body = {"tenant_id": 999_999, "login": "bob", "password": "x"}
    assert (await api.post("/users", body, 404))["code"] == "not_found"


async def test_a_user_with_a_vm_stays(api: CheckedApi, farm: SampleFarm) -> None:
    await api.call("DELETE", f"/users/{farm.user_id}", status=409)
    await api.call("DELETE", f"/vms/{farm.vm_id}", status=204)
    await api.call("DELETE", f"/users/{farm.user_id}", status=204)


@pytest.mark.parametrize(
    "login", ["", "a b", "-rf", "a@", "a@b@c", "a\\b\\c", "a/b", "x" * 65, "ä"]
)
async def test_a_login_that_gives_no_account_is_refused(api: CheckedApi, login: str) -> None:
    body = {"tenant_id": 1, "login": login, "password": "x"}
    assert (await api.post("/users", body, 422))["field"] == "login"


@pytest.mark.parametrize(
    ("given", "login", "account"),
    [
        ("CORP\\Ana", "corp\\ana", "corp_ana-"),
        ("ana@Corp.example", "ana@corp.example", "ana_corp.example-"),
        ("Ana.Smith", "ana.smith", "ana.smith"),
    ],
)
async def test_a_login_of_a_domain_is_kept_in_small_letters_and_shows_its_account(
    api: CheckedApi, parts: AdminParts, given: str, login: str, account: str
) -> None:
    made = (await api.post("/users", {"tenant_id": 1, "login": given, "password": "x"})).body
    assert made["login"] == login
    assert made["account"].startswith(account)
    shown = await api.get(f"/users/{made['id']}")
    assert shown.body["account"] == made["account"]
    assert len((await api.get("/users", login=given)).body["items"]) == 1
    who = await parts.accounts.authenticator.basic(given, "x", source="192.0.2.1")
    assert who.user_id == made["id"]
    again = {"tenant_id": 1, "login": login, "password": "x"}
    await api.post("/users", again, 409)


async def test_no_password_is_ever_answered_or_logged(
    api: CheckedApi, farm: SampleFarm, log_text: Callable[[], str]
) -> None:
    secret = "s3cret-that-must-not-appear"
    path = f"/users/{farm.user_id}/password"
    await api.call("PUT", path, {"password": secret}, status=204)
    body = {"tenant_id": farm.tenant_id, "login": "bob", "password": secret}
    bob = await api.post("/users", body)
    await api.post("/users", body, 409)
    for odd in (
        {**body, "login": ["x"]},
        {**body, "colour": secret},
        {**body, "password": [secret]},
        {**body, "password": secret * 20},
        {**body, "password": {"value": secret}},
        [secret],
        secret,
    ):
        await api.post("/users", odd, 422)
    await api.get(f"/users/{bob['id']}")
    await api.get("/users")
    audit = await api.get("/audit")
    assert "user.password" in [item["action"] for item in audit["items"]]
    said = "\n".join(api.texts) + log_text()
    assert "admin_request" in said
    assert secret not in said
    assert "argon2" not in said


async def test_a_users_home_is_said_to_be_on_another_node(
    api: CheckedApi, farm: SampleFarm, parts: AdminParts
) -> None:
    path = f"/users/{farm.user_id}/home"
    other = await parts.nodes.join("node2", "boot-1", "10.0.0.2")
    assert (await api.call("PUT", path, {"node_id": other.node_id}))["home_node"] == other.node_id
    assert (await api.call("PUT", path, {"node_id": 99}, status=404))["code"] == "not_found"
    assert (await api.call("PUT", path, {"node_id": None}))["home_node"] is None


async def test_a_home_in_use_stays_where_it_is(
    api: CheckedApi, farm: SampleFarm, parts: AdminParts, database: Database
) -> None:
    seat = await parts.nodes.join("node2", "boot-1", "10.0.0.2")
    await Ownership(database, seat).acquire(VmId(farm.vm_id))
    refused = await api.call("PUT", f"/users/{farm.user_id}/home", {"node_id": None}, status=409)
    assert "stop them first" in refused["detail"]
