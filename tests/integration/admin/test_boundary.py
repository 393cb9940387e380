import json
from collections.abc import Callable

import pytest
from aiohttp import ClientError, web
from aiohttp.test_utils import TestClient, TestServer

from qvdnode.admin import boundary
from qvdnode.admin.dispatch import BODY_MAX_BYTES
from qvdnode.admin.parts import AdminParts
from qvdnode.db.pool import Database
from qvdnode.model.errors import NotFound
from qvdnode.runtime.clock import SystemClock
from tests.integration.admin.checked_api import CheckedApi


async def test_an_unknown_path_is_answered_with_a_problem(api: CheckedApi) -> None:
    for path in ("/nothing", "/vms/1/nothing", "/"):
        assert (await api.get(path, 404))["code"] == "not_found"


async def test_another_method_says_which_ones_there_are(api: CheckedApi) -> None:
    refused = await api.call("PATCH", "/tenants", {}, status=405)
    assert refused["code"] == "method_not_allowed"
    assert refused.headers["Allow"] == "GET, POST"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b'{"name": "\\ud800"}'])
async def test_bodies_that_cannot_be_read(api: CheckedApi, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    refused = await api.call("POST", "/tenants", data=body, headers=headers)
    assert refused.status in {400, 422}


async def test_a_body_of_another_kind_is_refused(api: CheckedApi) -> None:
    refused = await api.call("POST", "/tenants", data={"name": "acme"}, status=415)
    assert "application/json" in refused["detail"]


async def test_a_huge_body_is_refused(api: CheckedApi) -> None:
    body = {"name": "x" * BODY_MAX_BYTES}
    assert (await api.post("/tenants", body, 413))["code"] == "body_too_large"


async def test_a_given_correlation_id_comes_back(api: CheckedApi) -> None:
    said = await api.call("GET", "/tenants", headers={"X-Correlation-ID": "abc-1.2_3"})
    assert said.headers["X-Correlation-ID"] == "abc-1.2_3"


@pytest.mark.parametrize("given", ["a b", "x" * 65, "a;b", "ä"])
async def test_an_odd_correlation_id_is_replaced(api: CheckedApi, given: str) -> None:
    said = await api.call("GET", "/nothing", headers={"X-Correlation-ID": given})
    assert said.headers["X-Correlation-ID"] not in {"", given}
    assert said["correlation"] == said.headers["X-Correlation-ID"]


async def test_a_request_is_one_line_in_the_log(
    api: CheckedApi, log_text: Callable[[], str]
) -> None:
    await api.call("GET", "/tenants", headers={"X-Correlation-ID": "find-me"})
    lines = [json.loads(line) for line in log_text().splitlines()]
    (line,) = [line for line in lines if line["event"] == "admin_request"]
    assert line["correlation"] == "find-me"
    assert (line["method"], line["path"], line["status"]) == ("GET", "/api/v1/tenants", 200)


async def test_a_bug_is_answered_and_logged_but_not_told(
    api: CheckedApi, parts: AdminParts, monkeypatch: pytest.MonkeyPatch, log_text: Callable[[], str]
) -> None:
    def broken() -> str | None:
        raise RuntimeError("secret of the node")

    object.__setattr__(parts, "not_ready", broken)
    async with api.client.get("/readyz") as answer:
        assert answer.status == 500
        said = await answer.json(content_type="application/problem+json")
    assert said["code"] == "internal"
    assert "secret" not in json.dumps(said)
    assert "secret of the node" in log_text()
    assert said["correlation"] in log_text()


async def test_without_the_database_the_answer_is_unavailable(
    api: CheckedApi, database: Database
) -> None:
    await database.close()
    assert (await api.get("/tenants", 503))["code"] == "unavailable"


@pytest.mark.parametrize("error", [NotFound("Gone."), RuntimeError("a bug")])
async def test_an_answer_that_has_begun_is_broken_off_not_answered_twice(error: Exception) -> None:
    async def half_answered(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"the first half")
        raise error

    app = web.Application(middlewares=[boundary.boundary(SystemClock())])
    app.on_response_prepare.append(boundary.stamp)
    app.router.add_get("/half", half_answered)
    async with TestClient(TestServer(app)) as client, client.get("/half") as answer:
        with pytest.raises(ClientError):
            await answer.read()
