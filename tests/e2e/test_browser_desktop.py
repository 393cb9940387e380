"""A desktop in real Chromium, as its user meets it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.conftest import MakeDesk
from tests.harness.chromium import Browser, Tab, chromium
from tests.harness.farm import PASSWORD, Desk

pytestmark = pytest.mark.asyncio(loop_scope="session")

OPEN_S = 90.0


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """A Chromium that takes the node's own certificate."""
    profile = tmp_path_factory.mktemp("chromium")
    flags = ("--ignore-certificate-errors", "--lang=es", "--window-size=1000,700")
    async with chromium(profile, *flags, environment={"LANGUAGE": "es"}) as running:
        yield running


async def log_in(browser: Browser, desk: Desk) -> Tab:
    assert desk.node.said is not None
    base = f"https://localhost:{desk.node.said.admin_port}"
    tab = await browser.tab(f"{base}/my/")
    await tab.fill("#login", desk.login)
    await tab.fill("#password", PASSWORD)
    await tab.click("button.main")
    await tab.until("document.querySelector('.desktop')")
    return tab


async def test_opens(make: MakeDesk, browser: Browser, tmp_path: Path) -> None:
    desk = await make()
    tab = await log_in(browser, desk)
    await tab.screenshot(Path("/tmp/bd/my.png"))
    await tab.click(f"#open-{desk.vm_id}")
    try:
        await tab.until("document.documentElement.dataset.shown", limit_s=OPEN_S)
        await asyncio.sleep(3)
    finally:
        await tab.screenshot(Path("/tmp/bd/desk.png"))
        print(tab.complaints())
        print(desk.node.last_words()[-3000:])
