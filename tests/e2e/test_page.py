"""An administrator's day in the page: a real browser, node and desktop."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.conftest import NUMBERS, MakeDesk
from tests.harness.admin_page import AdminPage
from tests.harness.chromium import Browser, chromium
from tests.harness.node import NodeProcess
from tests.harness.rest import Rest

# A browser beside all other tests is slower than its waits allow, now and then.
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.alone]

START_LIMIT_S = 90.0
VIEWS = {
    "overview": ("/ui/", "document.querySelectorAll('.plot canvas').length === 6"),
    "desktops": ("/ui/vms", "document.querySelector('tbody tr')"),
    "sessions": ("/ui/sessions", "document.querySelector('.empty, tbody tr')"),
    "flavours": ("/ui/flavours?q=off&sort=-name", "document.querySelector('tbody tr')"),
    "images": ("/ui/images", "document.querySelector('tbody tr')"),
    "image": ("/ui/images/icewm", "document.querySelector('tbody tr')"),
    "import": ("/ui/new/images", "document.querySelector('form.form')"),
    "users": ("/ui/users?sort=-login", "document.querySelector('tbody tr')"),
    "nothing": ("/ui/vms?state=killing", "document.querySelector('.empty')"),
    "new-user": ("/ui/new/users", "document.querySelector('form.form option:nth-child(2)')"),
    "new-flavour": ("/ui/new/flavours", "document.querySelector('form.form')"),
    "tenants": ("/ui/tenants", "document.querySelector('tbody tr')"),
    "nodes": ("/ui/nodes", "document.querySelector('tbody tr')"),
    "node": ("/ui/nodes/1", "document.querySelector('dl')"),
    "invite": ("/ui/new/nodes", "document.querySelector('form.form')"),
    "tokens": ("/ui/tokens", "document.querySelector('tbody tr')"),
    "audit": ("/ui/audit?object_kind=user", "document.querySelector('tbody tr')"),
    "access": ("/ui/access", "document.querySelector('tbody tr')"),
    "no-page": ("/ui/no/such", "document.querySelector('h1')"),
}


@pytest_asyncio.fixture(loop_scope="session")
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    """A browser that takes the node's own certificate."""
    async with chromium(tmp_path, "--ignore-certificate-errors", "--lang=en") as started:
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, node: NodeProcess, rest: Rest) -> AsyncIterator[AdminPage]:
    """The page, logged in; at the end it has broken no policy and raised no exception."""
    assert node.said is not None
    shown = AdminPage(await browser.tab(), f"https://127.0.0.1:{node.said.admin_port}")
    await shown.tab.size(1280, 900)
    await shown.login(rest)
    yield shown
    assert shown.tab.complaints() == []


async def test_a_link_logs_in_once_and_leaves_no_trace(page: AdminPage, rest: Rest) -> None:
    link = await page.link(rest)
    await page.tab.goto("about:blank")
    await page.tab.goto(link)
    await page.heading("Overview")
    assert "#" not in await page.tab.run("location.href")
    assert await page.tab.run("document.cookie") == ""
    await page.show("/ui/access")
    await page.tab.click("button", "Log out")
    await page.tab.until("document.querySelector('.sign-in')")
    assert await page.findings() == []
    await page.picture("login")
    await page.tab.goto("about:blank")
    await page.tab.goto(link)
    await page.tab.until("document.querySelector('[role=alert]')")
    await page.picture("link-used")


async def test_every_view_is_accessible_and_keeps_the_policy(
    page: AdminPage, make: MakeDesk
) -> None:
    await make()
    found = {}
    for name, (address, until) in VIEWS.items():
        await page.show(address, until)
        found[name] = await page.findings()
        await page.picture(name)
    await page.tab.media(prefers_color_scheme="dark")
    await page.show(*VIEWS["overview"])
    found["dark"] = await page.findings()
    await page.picture("overview-dark")
    await page.tab.size(390, 800, mobile=True)
    await page.show(*VIEWS["desktops"])
    assert await page.tab.run("document.documentElement.scrollWidth <= innerWidth")
    await page.tab.click(".menu-button")
    found["phone"] = await page.findings()
    await page.picture("desktops-phone")
    assert {name: one for name, one in found.items() if one} == {}


async def test_a_refused_field_says_why_beside_it(page: AdminPage) -> None:
    login = f"page{next(NUMBERS)}"
    await page.show("/ui/new/users")
    await page.choose("tenant_id", "default")
    await page.fill({"login": "not a login", "password": "correct horse"})
    await page.tab.click("button[type=submit]")
    await page.tab.until("document.activeElement.matches('[name=login][aria-invalid=true]')")
    assert await page.findings() == []
    await page.picture("field-refused")
    await page.fill({"login": login})
    await page.tab.click("button[type=submit]")
    await page.heading(login)


async def test_a_desktop_from_the_form_to_its_end(page: AdminPage, make: MakeDesk) -> None:
    user = (await make()).login
    await page.show("/ui/new/vms")
    await page.choose("user_id", user)
    await page.choose("flavour_id", "office")
    await page.fill({"name": "second"})
    await page.tab.click("button[type=submit]")
    await page.heading(f"{user}/second")

    await page.tab.click(".page-head button", "Start")
    await state(page, "running")
    await page.tab.click("summary", "Log")
    await page.tab.until("document.querySelector('pre.log')?.textContent")
    assert await page.findings() == []
    await page.picture("desktop-running")

    await page.tab.click(".page-head button", "Stop")
    await page.tab.click("dialog button[type=submit]", "Stop")
    await state(page, "stopped")
    await page.tab.click(".page-head button", "Delete")
    await page.tab.until("document.querySelector('dialog button[type=submit]')?.disabled")
    assert await page.findings() == []
    await page.picture("delete")
    await page.tab.fill("#typed", f"{user}/second")
    await page.tab.click("dialog button[type=submit]", "Delete")
    await page.heading("Desktops")


async def state(page: AdminPage, name: str) -> None:
    """Wait for the desktop's state; nothing is clicked meanwhile."""
    shown = "document.querySelector('.page-head .badge')?.textContent"
    await page.tab.until(f"{shown} === '{name}'", limit_s=START_LIMIT_S)
