"""Administrators log in with a browser."""

from urllib.parse import urlsplit

import pytest
from aiohttp.test_utils import TestClient, TestServer

from qvdnode.admin.app import build_app
from qvdnode.db.pool import Database
from qvdnode.runtime.clock import SystemClock
from qvdnode.runtime.supervise import Supervisor
from tests.fakes.fleet import FakeFleet
from tests.fakes.importer import FakeImporter
from tests.integration.admin.browser import Browser, browser
from tests.integration.admin.checked_api import CheckedApi
from tests.integration.admin.parts_for_tests import NotReady, make_parts
from tests.integration.admin.sample_farm import SampleFarm

COOKIE = "__Host-qvd"


async def logged_in(api: CheckedApi) -> Browser:
    """A browser that is logged in as the owner of the token."""
    made = browser(api)
    await made.call("POST", "/session", {"token": api.token}, status=200)
    return made


async def test_a_token_becomes_a_cookie_that_no_page_can_read(api: CheckedApi) -> None:
    made = browser(api)
    said = await made.call("POST", "/session", {"token": api.token}, status=200)
    assert (said["kind"], said["name"], said["idle_s"]) == ("admin", "tests", 1_800)
    words = {part.strip() for part in said.headers["Set-Cookie"].split(";")[1:]}
    assert words == {"HttpOnly", "Secure", "SameSite=Strict", "Path=/"}
    assert str(api.token) not in said.headers["Set-Cookie"]
    who = await made.call("GET", "/session", status=200)
    assert (who["id"], who["name"]) == (said["id"], "tests")
    await made.call("GET", "/tenants", status=200)


async def test_the_database_does_not_know_the_key(api: CheckedApi, database: Database) -> None:
    made = await logged_in(api)
    rows = await database.fetch("SELECT * FROM browser_session")
    assert made.cookies[COOKIE].encode() not in repr([dict(row) for row in rows]).encode()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
    ],
)
async def test_only_own_pages_may_write_with_a_cookie(
    api: CheckedApi, farm: SampleFarm, headers: dict[str, str], status: int
) -> None:
    made = await logged_in(api)
    made.headers = headers
    await made.call("PATCH", f"/users/{farm.user_id}", {"blocked": True}, status=status)
    shown = await api.get(f"/users/{farm.user_id}")
    assert shown["blocked"] is (status == 200)


async def test_an_old_browser_is_known_by_its_origin(api: CheckedApi, farm: SampleFarm) -> None:
    made = await logged_in(api)
    host = f"{api.client.host}:{api.client.port}"
    made.headers = {"Origin": f"https://{host}"}
    await made.call("PATCH", f"/users/{farm.user_id}", {"blocked": True}, status=200)


async def test_a_bearer_token_needs_no_origin(api: CheckedApi, farm: SampleFarm) -> None:
    body = {"blocked": True}
    headers = {"Sec-Fetch-Site": "cross-site"}
    await api.call("PATCH", f"/users/{farm.user_id}", body, headers=headers, status=200)


async def test_another_site_can_neither_log_in_nor_out(api: CheckedApi) -> None:
    made = await logged_in(api)
    made.headers = {"Sec-Fetch-Site": "cross-site"}
    await made.call("POST", "/session", {"token": api.token}, status=403)
    await made.call("DELETE", "/session", status=403)
    await made.call("GET", "/session", status=200)


async def test_a_link_works_once(api: CheckedApi) -> None:
    url = urlsplit((await api.post("/session/links"))["url"])
    assert (url.scheme, url.path) == ("https", "/ui/login")
    made = browser(api)
    said = await made.call("POST", "/session", {"link": url.fragment}, status=200)
    assert said["name"] == "tests"
    refused = await browser(api).call("POST", "/session", {"link": url.fragment}, status=401)
    assert "qvd web link" in refused["detail"]
    await made.call("GET", "/session", status=200)


async def test_an_expired_link_is_refused(api: CheckedApi, database: Database) -> None:
    key = urlsplit((await api.post("/session/links"))["url"]).fragment
    await database.execute("UPDATE login_link SET expires_at = now() - interval '1 s'")
    await browser(api).call("POST", "/session", {"link": key}, status=401)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"token": "a", "link": "b"}, 422),
        ({"token": "unknown"}, 401),
        ({"link": "unknown"}, 401),
        ({"token": "ñ"}, 401),
        ({"token": "x" * 300}, 422),
        ({"login": "root", "password": "secret"}, 422),
    ],
)
async def test_what_logs_nobody_in_is_refused(
    api: CheckedApi, body: dict[str, str], status: int
) -> None:
    made = browser(api)
    await made.call("POST", "/session", body, status=status)
    assert not made.cookies


async def test_a_large_body_is_refused(api: CheckedApi) -> None:
    await browser(api).call("POST", "/session", {"token": "x" * 70_000}, status=413)


async def test_logging_out_ends_the_login(api: CheckedApi) -> None:
    made = await logged_in(api)
    kept = dict(made.cookies)
    await made.call("DELETE", "/session", status=204)
    assert not made.cookies
    await browser(api, **kept).call("GET", "/tenants", status=401)
    await made.call("DELETE", "/session", status=204)


async def test_a_second_login_ends_the_first_one_of_a_browser(api: CheckedApi) -> None:
    made = await logged_in(api)
    kept = dict(made.cookies)
    await made.call("POST", "/session", {"token": api.token}, status=200)
    await browser(api, **kept).call("GET", "/session", status=401)
    await made.call("GET", "/session", status=200)


async def test_the_end_of_the_token_ends_its_logins(api: CheckedApi) -> None:
    issued = await api.post("/tokens", {"name": "ana"})
    made = browser(api)
    await made.call("POST", "/session", {"token": issued["token"]}, status=200)
    await api.call("DELETE", f"/tokens/{issued['id']}", status=204)
    await made.call("GET", "/session", status=401)


@pytest.mark.parametrize("column", ["ends_at", "seen_at"])
async def test_a_login_ends_by_age_and_by_idleness(
    api: CheckedApi, database: Database, column: str
) -> None:
    made = await logged_in(api)
    await database.execute(f"UPDATE browser_session SET {column} = now() - interval '31 min'")
    await made.call("GET", "/tenants", status=401)


async def test_what_a_page_asks_by_itself_does_not_prolong_a_login(
    api: CheckedApi, database: Database
) -> None:
    made = await logged_in(api)
    await database.execute("UPDATE browser_session SET seen_at = now() - interval '10 min'")
    age = "SELECT now() - seen_at > interval '5 min' FROM browser_session"
    await made.call("GET", "/tenants", status=200, X_Background="1")
    assert await database.fetchval(age)
    await made.call("GET", "/tenants", status=200)
    assert not await database.fetchval(age)


async def test_one_sees_and_ends_only_ones_own_logins(api: CheckedApi) -> None:
    issued = await api.post("/tokens", {"name": "ana"})
    hers, mine = browser(api), await logged_in(api)
    her_login = await hers.call("POST", "/session", {"token": issued["token"]}, status=200)
    listed = await mine.call("GET", "/web-sessions", status=200)
    (item,) = listed["items"]
    assert item["here"] is True
    await mine.call("DELETE", f"/web-sessions/{her_login['id']}", status=404)
    await api.call("DELETE", f"/web-sessions/{item['id']}", status=204)
    await mine.call("GET", "/session", status=401)
    await hers.call("GET", "/session", status=200)


async def test_a_login_is_valid_at_every_node(
    api: CheckedApi,
    database: Database,
    fleet: FakeFleet,
    importer: FakeImporter,
    not_ready: NotReady,
) -> None:
    made = await logged_in(api)
    async with Supervisor("other node") as tasks:
        parts = make_parts(database, fleet, importer, not_ready, tasks)
        async with TestClient(TestServer(build_app(parts, SystemClock()))) as other_node:
            there = browser(CheckedApi(other_node, None), **made.cookies)
            who = await there.call("GET", "/session", status=200)
            assert who["name"] == "tests"
            await there.call("DELETE", "/session", status=204)
    await made.call("GET", "/session", status=401)


async def test_a_users_cookie_opens_nothing_for_administrators(
    api: CheckedApi, farm: SampleFarm
) -> None:
    made = browser(api)
    body = {"login": "alice", "password": "secret"}
    await made.call("PUT", f"/users/{farm.user_id}/password", {"password": "x"}, status=401)
    await api.call("PUT", f"/users/{farm.user_id}/password", {"password": "secret"}, status=204)
    await made.call("POST", "/my/session", body, status=200)
    key = made.cookies["__Host-qvd-my"]
    await browser(api, **{COOKIE: key}).call("GET", "/tenants", status=401)
    await made.call("GET", "/tenants", status=401)


async def test_a_login_is_in_the_audit_trail_without_its_secret(api: CheckedApi) -> None:
    made = await logged_in(api)
    api.texts.clear()
    rows = (await api.get("/audit", object_kind="login"))["items"]
    assert [(row["actor"], row["action"]) for row in rows] == [("tests", "login.begin")]
    assert made.cookies[COOKIE] not in "".join(api.texts)
