"""Files between a user's machine and the home of a desktop that runs, in real Chromium."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from tests.e2e.conftest import MakeDesk
from tests.e2e.guest_processes import in_guest
from tests.harness.admin_page import AdminPage, pictures
from tests.harness.chromium import Browser, Tab
from tests.harness.web_desktop import base_of, log_in, web_desktop

# A browser beside all other tests is slower than its waits allow, now and then.
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.alone]

MIB = 1 << 20
SUM_OF_LINK = """fetch(LINK).then((one) => one.arrayBuffer())
  .then((bytes) => crypto.subtle.digest("SHA-256", bytes))
  .then((sum) => [...new Uint8Array(sum)]
    .map((byte) => byte.toString(16).padStart(2, "0")).join(""))"""
"""The digest of what a link gives, as the page gets it."""
NAME = "Informe ¿qué? ñ.bin"
LIMIT_S = 60.0


async def drop(tab: Tab, path: Path, x: int, y: int) -> None:
    """Drag a file from the user's machine to that point, and let it go."""
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        await tab.command("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)


def outcome(name: str) -> str:
    return f"document.querySelector('[data-upload={json.dumps(name)}]')?.dataset.outcome"


def sum_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def test_files_go_up_by_drag_and_drop_and_come_back(  # noqa: PLR0915 - one desktop for all
    make: MakeDesk, browser: Browser, tmp_path: Path
) -> None:
    desk = await make()
    content = os.urandom(5 * MIB + 123)
    source, empty = tmp_path / NAME, tmp_path / "vacío"
    source.write_bytes(content)
    empty.touch()
    async with web_desktop(browser, desk) as opened:
        tab = opened.tab
        await drop(tab, source, 300, 300)
        await tab.until(f"{outcome(NAME)} === 'done'", limit_s=LIMIT_S)
        assert in_guest(desk, "stat -c '%u %a' ~/Informe*").split() == ["1000", "644"]
        assert sum_of(content) in in_guest(desk, "sha256sum ~/Informe*")
        await tab.screenshot(pictures() / "desktop-files.png")
        # What the user may not leave stays closed: a link out of the home.
        in_guest(desk, "ln -s /etc/passwd ~/enlace; mkdir ~/carpeta; echo hola >~/carpeta/a.txt")
        await tab.click("#files-close")
    tab = await log_in(browser, desk)
    page = AdminPage(tab, base_of(desk))
    await tab.until(f"document.querySelector('#files-{desk.vm_id}')", limit_s=LIMIT_S)
    await tab.click(f"#files-{desk.vm_id}")
    await tab.until("document.querySelector('[data-name=enlace] span')")
    assert await page.findings() == []
    await drop(tab, empty, 500, 350)
    await tab.until(f"{outcome('vacío')} === 'done'", limit_s=LIMIT_S)
    await tab.click("[data-name=carpeta] button")
    await tab.until("document.querySelector('[data-name=\"a.txt\"] a')")
    await page.picture("my-files")
    await tab.click("dialog .place button")
    link = f"document.querySelector('[data-name=\"{NAME}\"] a[download]')?.href"
    await tab.until(link)  # once the folder has been read again
    assert await tab.run(SUM_OF_LINK.replace("LINK", link)) == sum_of(content)
    base = f"/my/desktops/{desk.vm_id}"
    assert await tab.run(f"fetch('{base}/file?path=enlace').then((one) => one.status)") == 422
    await tab.click("#files-close")
    assert [said for said in tab.complaints() if "422" not in said] == []
