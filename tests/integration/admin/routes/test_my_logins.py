"""Users log in with a browser."""

import pytest

from qvdnode.db.pool import Database
from tests.integration.admin.browser import Browser, browser
from tests.integration.admin.checked_api import CheckedApi
from tests.integration.admin.sample_farm import SampleFarm

COOKIE = "__Host-qvd-my"
PASSWORD = "Ñandú 12"


@pytest.fixture
async def alice(api: CheckedApi, farm: SampleFarm) -> Browser:
    """A browser that is logged in as the user of the sample farm."""
    await api.call("PUT", f"/users/{farm.user_id}/password", {"password": PASSWORD}, status=204)
    made = browser(api)
    await made.call("POST", "/my/session", {"login": "alice", "password": PASSWORD}, status=200)
    return made


async def test_a_user_logs_in_and_out(alice: Browser) -> None:
    who = await alice.call("GET", "/my/session", status=200)
    assert (who["kind"], who["name"], who["tenant"]) == ("user", "alice", "default")
    kept = dict(alice.cookies)
    await alice.call("DELETE", "/my/session", status=204)
    assert not alice.cookies
    alice.cookies = kept
    await alice.call("GET", "/my/session", status=401)


@pytest.mark.parametrize("login", ["alice@default", "Alice"])
async def test_the_tenant_may_stand_in_the_login(
    api: CheckedApi, alice: Browser, login: str
) -> None:
    body = {"login": login, "password": PASSWORD}
    await browser(api).call("POST", "/my/session", body, status=200)
    await alice.call("GET", "/my/session", status=200)


async def test_the_tenant_may_be_a_field(api: CheckedApi, alice: Browser) -> None:
    body = {"login": "alice", "password": PASSWORD, "tenant": "default"}
    await browser(api).call("POST", "/my/session", body, status=200)
    await browser(api).call("POST", "/my/session", {**body, "tenant": "none"}, status=401)
    await alice.call("GET", "/my/session", status=200)


async def test_guessing_is_slowed_down(api: CheckedApi, alice: Browser) -> None:
    made = browser(api)
    answers = []
    for guess in range(8):
        body = {"login": "alice", "password": f"guess {guess}"}
        said = await made.call("POST", "/my/session", body, status=401 if guess < 5 else 429)
        answers.append(said)
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert not made.cookies
    await alice.call("GET", "/my/session", status=200)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "", {"blocked": True}),
        ("PUT", "/password", {"password": "another"}),
        ("DELETE", "/tokens", None),
    ],
)
async def test_what_ends_a_users_logins_ends_them_in_browsers_too(
    api: CheckedApi, farm: SampleFarm, alice: Browser, method: str, path: str, body: object
) -> None:
    status = 200 if method == "PATCH" else 204
    await api.call(method, f"/users/{farm.user_id}{path}", body, status=status)
    await alice.call("GET", "/my/session", status=401)


async def test_a_blocked_tenant_logs_its_users_out(
    api: CheckedApi, farm: SampleFarm, alice: Browser
) -> None:
    await api.call("PATCH", f"/tenants/{farm.tenant_id}", {"blocked": True}, status=200)
    await alice.call("GET", "/my/session", status=401)


async def test_a_user_sees_and_ends_own_logins(api: CheckedApi, alice: Browser) -> None:
    other = browser(api)
    body = {"login": "alice", "password": PASSWORD}
    second = await other.call("POST", "/my/session", body, status=200, User_Agent="Second/1")
    items = (await alice.call("GET", "/my/sessions", status=200))["items"]
    assert [(item["agent"], item["here"]) for item in items][1:] == [("Second/1", False)]
    await alice.call("DELETE", f"/my/sessions/{second['id']}", status=204)
    await other.call("GET", "/my/session", status=401)
    await alice.call("DELETE", f"/my/sessions/{second['id']}", status=404)


async def test_the_login_that_was_not_used_for_longest_gives_way(
    api: CheckedApi, alice: Browser, database: Database
) -> None:
    body = {"login": "alice", "password": PASSWORD}
    for _ in range(20):
        await browser(api).call("POST", "/my/session", body, status=200)
    assert await database.fetchval("SELECT count(*) FROM browser_session") == 20
    await alice.call("GET", "/my/session", status=401)


async def test_another_site_cannot_log_a_user_in(api: CheckedApi, alice: Browser) -> None:
    stranger = browser(api)
    stranger.headers = {"Sec-Fetch-Site": "cross-site"}
    body = {"login": "alice", "password": PASSWORD}
    await stranger.call("POST", "/my/session", body, status=403)
    assert not stranger.cookies
    await alice.call("GET", "/my/session", status=200)


async def test_a_token_of_an_administrator_is_no_user(api: CheckedApi) -> None:
    await api.call("GET", "/my/session", status=401)
