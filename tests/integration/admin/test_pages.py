"""The web pages and their files over HTTP."""

import re
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

VERSION = re.compile(r"/assets/([0-9a-f]{16})/")
Client = TestClient[Any, Any]


async def version_of(client: Client) -> str:
    """The version that the page names."""
    async with client.get("/ui/") as answer:
        found = VERSION.search(await answer.text())
    assert found is not None
    return found[1]


async def test_the_root_leads_to_the_page(client: Client) -> None:
    async with client.get("/", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "/ui/")
    async with client.get("/my", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "/my/")


@pytest.mark.parametrize("path", ["/ui/", "/ui/login", "/ui/users?q=an&sort=-login", "/ui/a/b/c"])
async def test_every_address_of_the_page_is_the_page(client: Client, path: str) -> None:
    async with client.get(path) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-cache"
        assert "sha256-" in answer.headers["Content-Security-Policy"]
        assert "require-trusted-types-for" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "VERSION" not in await answer.text()


async def test_the_desktops_page_does_without_trusted_types(client: Client) -> None:
    async with client.get("/my/desktop") as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert answer.status == 200
        assert "trusted-types" not in policy
        assert "default-src 'none'" in policy


async def test_a_file_is_kept_for_ever_and_compressed(client: Client) -> None:
    url = f"/assets/{await version_of(client)}/admin/app.js"
    async with client.get(url) as answer:
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert "served" in await answer.text()
        tag = answer.headers["ETag"]
    async with client.get(url, headers={"If-None-Match": tag}) as answer:
        assert (answer.status, await answer.read()) == (304, b"")
    async with client.get(url, headers={"Accept-Encoding": "gzip;q=0"}) as answer:
        assert "Content-Encoding" not in answer.headers
        assert answer.headers["ETag"] != tag
        assert "served" in await answer.text()


@pytest.mark.parametrize(
    "path",
    ["admin/none.js", "../conftest.py", "%2e%2e/conftest.py", "/etc/passwd", "admin", "index.htm"],
)
async def test_nothing_else_is_served(client: Client, path: str) -> None:
    async with client.get(f"/assets/{await version_of(client)}/{path}") as answer:
        assert answer.status == 404
        assert answer.content_type == "application/problem+json"
        assert answer.headers["Cache-Control"] == "no-store"


async def test_a_file_of_another_version_says_to_reload(client: Client) -> None:
    async with client.get("/assets/0123456789abcdef/admin/app.js") as answer:
        assert answer.status == 404
        assert "reload" in (await answer.json(content_type=None))["detail"]


async def test_a_page_that_is_not_installed_says_so(client: Client) -> None:
    async with client.get("/my/") as answer:
        assert answer.status == 404
        assert "install" in (await answer.json(content_type=None))["detail"]


async def test_pages_take_no_writes(client: Client) -> None:
    async with client.post("/ui/") as answer:
        assert answer.status == 405
