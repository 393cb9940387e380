"""The page at a farm of many users: real browser and database, pretended desktops."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from qvdnode.admin.app import build_app
from qvdnode.admin.parts import AdminParts
from qvdnode.runtime.clock import SystemClock
from qvdnode.web.assets import Pages
from tests.fakes.importer import BROKEN
from tests.harness.admin_page import AdminPage
from tests.harness.chromium import Browser, chromium
from tests.integration.admin.checked_api import TAR, CheckedApi
from tests.integration.admin.sample_farm import SampleFarm
from tests.waiting import until

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(180)]

TABS = 8
ROWS = "document.querySelectorAll('tbody tr').length"
LOCKS = "navigator.locks.query().then(({held, pending}) => [held.length, pending.length])"


@pytest.fixture
async def client(parts: AdminParts) -> AsyncIterator[TestClient[Any, Any]]:
    """A client of the application with the pages that are shipped."""
    shipped = replace(parts, pages=Pages())
    async with TestClient(TestServer(build_app(shipped, SystemClock()))) as client:
        yield client


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    """A browser of its own."""
    async with chromium(tmp_path / "profile", "--lang=en") as started:
        yield started


@pytest.fixture
async def page(
    browser: Browser, client: TestClient[Any, Any], api: CheckedApi
) -> AsyncIterator[AdminPage]:
    """The page, logged in; it breaks no policy and raises no exception."""
    shown = AdminPage(await browser.tab(), str(client.make_url("")).rstrip("/"))
    await shown.tab.size(1280, 900)
    await shown.login(api)
    yield shown
    assert shown.tab.complaints() == []


async def test_what_changes_elsewhere_changes_here_in_every_tab_by_one_stream(
    page: AdminPage, browser: Browser, api: CheckedApi, farm: SampleFarm
) -> None:
    tabs = [AdminPage(await browser.tab(), page.base) for _ in range(TABS - 1)]
    for tab in (page, *tabs):
        await tab.show("/ui/users", f"{ROWS} === 1")
    draft = {"tenant_id": farm.tenant_id, "login": "newcomer", "password": "correct horse"}
    await api.post("/users", draft)
    for tab in (page, *tabs):
        await tab.says("newcomer", limit_s=5)
    assert await page.tab.run(LOCKS) == [1, TABS - 1]
    assert "not live" not in await page.text(".top")


async def test_an_image_is_uploaded_and_a_bad_one_refused(
    page: AdminPage, farm: SampleFarm, tmp_path: Path
) -> None:
    (tmp_path / "good.tar").write_bytes(TAR)
    (tmp_path / "bad.tar").write_bytes(BROKEN)
    for name, said in (("good", "Version 2 is in use now."), ("bad", "This is no tar file.")):
        await page.show("/ui/new/images?name=icewm")
        await page.tab.choose_file("#image-file", tmp_path / f"{name}.tar")
        await page.tab.click("button[type=submit]", "Import image")
        await page.heading("Images")
        await page.says(said)
        assert await page.findings() == []
        await page.picture(f"upload-{name}")


async def test_the_audit_trail_as_csv(page: AdminPage, farm: SampleFarm, tmp_path: Path) -> None:
    await page.show("/ui/audit?object_kind=user", f"{ROWS} === 1")
    await page.tab.save_to(tmp_path)
    await page.tab.click("button", "Download as CSV")
    await page.says("1 rows")
    file = tmp_path / "audit.csv"
    await until(file.exists, limit_s=30)
    lines = file.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "id,at,actor,action,object_kind,object_id,detail,correlation"
    assert ",user.create,user," in lines[1]


async def test_spanish_is_whole_and_remembered(page: AdminPage, farm: SampleFarm) -> None:
    await page.tab.fill(".nav .language select", "es")
    await page.heading("Resumen")
    await page.show("/ui/users")
    await page.heading("Usuarios")
    assert await page.tab.run("document.documentElement.lang") == "es"
    assert await page.findings() == []
    await page.picture("users-es")


async def test_a_node_that_is_gone_is_told(
    page: AdminPage, client: TestClient[Any, Any], farm: SampleFarm
) -> None:
    await page.show("/ui/users", f"{ROWS} === 1")
    await client.server.close()
    await page.tab.click("a", "Tenants")
    await page.says("The node does not answer.")
    await page.says("not live")
    await page.picture("node-gone")
