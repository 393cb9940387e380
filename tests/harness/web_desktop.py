"""A user's browser: logs in, opens a desktop, and presses the keys of a Spanish board in it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from tests.harness.chromium import Browser, Tab
from tests.harness.farm import PASSWORD, Desk

OPEN_S: Final = 90.0
SHIFT, ALTGR, PLAIN = "ShiftLeft", "AltRight", ""
DEAD: Final = "Dead"

Stroke = tuple[str, str, str]
"""A modifier, a key by its place, and what it means on the user's board."""

ES: Final[dict[str, Sequence[Stroke]]] = {
    **{char: ((PLAIN, f"Key{char.upper()}", char),) for char in "abcdefghijklmnopqrstuvwxyz"},
    **{char: ((SHIFT, f"Key{char}", char),) for char in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
    "é": ((PLAIN, "Quote", DEAD), (PLAIN, "KeyE", "é")),
    "ú": ((PLAIN, "Quote", DEAD), (PLAIN, "KeyU", "ú")),
    "ñ": ((PLAIN, "Semicolon", "ñ"),),
    "Ñ": ((SHIFT, "Semicolon", "Ñ"),),
    "¿": ((SHIFT, "Equal", "¿"),),
    "?": ((SHIFT, "Minus", "?"),),
    "€": ((ALTGR, "KeyE", "€"),),
    ",": ((PLAIN, "Comma", ","),),
    " ": ((PLAIN, "Space", " "),),
}
MODIFIER_BIT: Final = {SHIFT: 8, ALTGR: 1, PLAIN: 0}  # DevTools know Alt, and no AltGr
NAME_OF: Final = {SHIFT: "Shift", ALTGR: "AltGraph"}
KEY_CODE: Final = {SHIFT: 16, ALTGR: 18}


@dataclass
class WebDesktop:
    """A tab with a desktop in it."""

    tab: Tab
    desk: Desk

    async def shown(self, limit_s: float = OPEN_S) -> None:
        """Return when the desktop's window is there, and drawn."""
        await self.tab.until("document.documentElement.dataset.shown", limit_s=limit_s)
        await self.tab.until(DRAWN, limit_s=limit_s)

    async def ended(self, limit_s: float = OPEN_S) -> str:
        """Why the session ended, once it has."""
        await self.tab.until("document.documentElement.dataset.ended", limit_s=limit_s)
        return str(await self.tab.run("document.documentElement.dataset.ended"))

    async def says(self) -> str:
        """What the curtain tells the user; empty when it is away."""
        return str(await self.tab.run("curtain.hidden ? '' : curtain.innerText"))

    async def click(self, x: int, y: int) -> None:
        """Click into the desktop."""
        for kind in ("mousePressed", "mouseReleased"):
            await self.tab.command(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1
            )

    async def type(self, text: str) -> None:
        """Press the keys that write the text on a Spanish board, as Chromium reports them."""
        for char in text:
            for modifier, code, key in ES[char]:
                await self._stroke(modifier, code, key)

    async def _stroke(self, modifier: str, code: str, key: str) -> None:
        bits = MODIFIER_BIT[modifier]
        if modifier:
            await self._event("rawKeyDown", modifier, NAME_OF[modifier], KEY_CODE[modifier], bits)
        await self._event("rawKeyDown", code, key, 0, bits)
        # Chromium on Linux never reports that a dead key was let go.
        if key != DEAD:
            await self._event("keyUp", code, key, 0, bits)
        if modifier:
            await self._event("keyUp", modifier, NAME_OF[modifier], KEY_CODE[modifier], 0)

    async def _event(self, kind: str, code: str, key: str, number: int, bits: int) -> None:
        await self.tab.command(
            "Input.dispatchKeyEvent",
            type=kind,
            code=code,
            key=key,
            windowsVirtualKeyCode=number,
            modifiers=bits,
        )


DRAWN: Final = """(() => {
  const canvas = document.querySelector("#screen canvas");
  if (!canvas || canvas.width < 2) return false;
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  for (let at = 4 * 997; at < pixels.length; at += 4 * 997)
    if (pixels[at] !== pixels[0] || pixels[at + 1] !== pixels[1]) return true;
  return false;
})()"""
"""Whether the canvas has more than one colour."""


def base_of(desk: Desk) -> str:
    """The address of the node's port for people."""
    assert desk.node.said is not None
    return f"https://localhost:{desk.node.said.admin_port}"


async def log_in(browser: Browser, desk: Desk) -> Tab:
    """A tab with the list of the user's desktops."""
    tab = await browser.tab(f"{base_of(desk)}/my/")
    await tab.run("fetch('/my/session', {method: 'DELETE'})")  # of an earlier user of the browser
    await tab.run("localStorage.setItem('qvd-keyboard', 'es')")  # a headless browser has a US board
    await tab.goto(f"{base_of(desk)}/my/")
    await tab.fill("#login", desk.login)
    await tab.fill("#password", PASSWORD)
    await tab.click("button.main")
    await tab.until("document.querySelector('.desktop')")
    return tab


async def open_here(tab: Tab, desk: Desk) -> WebDesktop:
    """Click on the desktop in the list; it is shown when this returns."""
    await tab.click(f"#open-{desk.vm_id}")
    opened = WebDesktop(tab, desk)
    await opened.shown()
    return opened


@asynccontextmanager
async def web_desktop(browser: Browser, desk: Desk) -> AsyncIterator[WebDesktop]:
    """The desktop in a tab of the browser, which is closed at the end."""
    tab = await log_in(browser, desk)
    try:
        yield await open_here(tab, desk)
    finally:
        await tab.command("Page.navigate", url="about:blank")
