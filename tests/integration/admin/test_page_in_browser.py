"""The page at a farm of many users: real browser and database, pretended desktops."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from qvdnode.admin.app import build_app
from qvdnode.admin.parts import AdminParts
from qvdnode.db.pool import Database
from qvdnode.runtime.clock import SystemClock
from qvdnode.web.assets import Pages
from tests.fakes.importer import BROKEN
from tests.harness.admin_page import AdminPage
from tests.harness.chromium import Browser, chromium
from tests.integration.admin.checked_api import TAR, CheckedApi
from tests.integration.admin.sample_farm import SampleFarm
from tests.waiting import until

# A browser beside all other tests is slower than its waits allow, now and then.
pytestmark = [pytest.mark.postgres, pytest.mark.timeout(180), pytest.mark.alone]

TABS = 8
PUPILS = 120
TO = "\N{EN DASH}"
FIRST = "document.querySelector('tbody th')?.textContent"
PLOTS = "document.querySelectorAll('.plot canvas').length === 6"
ROWS = "document.querySelectorAll('tbody tr').length"
FIRST_VIEW_BYTES = 120 * 1024
FIRST_VIEW_MS = 5_000
"""On a loaded machine; a quarter of a second on an idle one."""
LOADED = """JSON.stringify((() => {
  const all = ["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind));
  return {
    count: all.length, bytes: all.reduce((sum, one) => sum + one.transferSize, 0),
    ms: Math.max(...all.map((one) => one.responseEnd)),
  };
})())"""
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


@pytest.fixture
async def pupils(database: Database, farm: SampleFarm) -> int:
    """Many users of the default tenant."""
    _ = await database.execute(
        "INSERT INTO app_user (tenant_id, login, password_hash)"
        " SELECT $1, 'pupil' || to_char(n, 'FM000'), '-' FROM generate_series(1, $2) n",
        farm.tenant_id,
        PUPILS,
    )
    return PUPILS


async def test_filter_sort_and_page_stand_in_the_address(
    page: AdminPage, browser: Browser, pupils: int
) -> None:
    await page.show("/ui/users", f"{ROWS} === 50")
    await page.tab.fill("#filter-q", "PUPIL")
    await page.says(f"1{TO}50 of {pupils}")
    await page.tab.click("thead button", "Login")
    await page.tab.click("thead button", "Login")
    await page.tab.until(f"{FIRST} === 'pupil120'")
    await page.tab.click("nav.pages a", "Next page")
    await page.says(f"51{TO}100 of {pupils}")
    await page.tab.until("document.querySelector('table[aria-busy=false]')")
    first = await page.tab.run(FIRST)
    address = await page.tab.run("location.pathname + location.search")
    other = AdminPage(await browser.tab(), page.base)
    await other.show(str(address), f"{FIRST} === '{first}'")
    await page.tab.click("nav.pages a", "Previous page")
    await page.tab.until(f"{FIRST} === 'pupil120'")
    await page.picture("many-users")


async def test_an_action_on_all_that_is_found_tells_of_each(
    page: AdminPage, api: CheckedApi, pupils: int
) -> None:
    await page.show("/ui/users?q=pupil", f"{ROWS} === 50")
    await page.tab.click("button", "Act on everything found")
    await page.says(f"It will be done to {pupils} objects.")
    await page.tab.fill("#bulk-action", "delete")
    await page.tab.until("document.querySelector('dialog button.primary').disabled")
    await page.tab.fill("#bulk-action", "block")
    assert await page.findings() == []
    await page.picture("bulk-preview")
    await page.tab.click("dialog button.primary", f"Block ({pupils})")
    await page.says(f"{pupils} done.", limit_s=90)
    await page.picture("bulk-results")
    users = (await api.get("/users", q="pupil", limit=1000))["items"]
    assert [user["blocked"] for user in users] == [True] * pupils


async def test_the_first_view_is_small_and_soon_there(
    page: AdminPage, browser: Browser, client: TestClient[Any, Any], farm: SampleFarm
) -> None:
    for address, there in (("/ui/users", f"{ROWS} === 1"), ("/ui/", PLOTS)):
        fresh = await browser.tab()
        await fresh.command("Network.setCacheDisabled", cacheDisabled=True)
        await AdminPage(fresh, page.base).show(address, there)
        loaded = json.loads(await fresh.run(LOADED))
        assert loaded["bytes"] <= FIRST_VIEW_BYTES, (address, loaded)
        assert loaded["ms"] <= FIRST_VIEW_MS, (address, loaded)


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
    for name, said in (("good", "Version 2 is in use now."), ("bad", "This is not a tar file.")):
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


async def test_the_keyboard_alone_finds_and_opens_a_user(page: AdminPage, farm: SampleFarm) -> None:
    await page.tab.press("k", code=75, modifiers=2)
    await page.tab.until("document.activeElement.id === 'search'")
    await page.tab.command("Input.insertText", text="ali")
    await page.tab.until("document.querySelector('[role=option]')?.textContent.includes('alice')")
    assert await page.findings() == []
    await page.picture("search")
    await page.tab.press("Enter", code=13)
    await page.heading("alice")
    await page.tab.until("document.activeElement.tagName === 'H1'")


async def test_a_node_that_is_gone_is_told(
    page: AdminPage, client: TestClient[Any, Any], farm: SampleFarm
) -> None:
    await page.show("/ui/users", f"{ROWS} === 1")
    await client.server.close()
    await page.tab.click("a", "Tenants")
    await page.says("The node does not answer.")
    await page.says("not live")
    await page.picture("node-gone")
