"""The administration page in a browser, as its tests use it."""

import json
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from tests.harness.chromium import Tab
from tests.harness.node import test_root

AXE: Final = Path(__file__).parents[1] / "web" / "vendor" / "axe.min.js"
RULES: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
IS_QUIET: Final = "!document.querySelector('[aria-busy=true], dialog[open] [role=status].muted')"
FINDINGS: Final = """axe.run(document, {runOnly: RULES}).then((result) => JSON.stringify(
  result.violations.map((one) => [one.id, one.help, ...one.nodes.map((node) => node.html)])))"""


def pictures() -> Path:
    """Where screenshots are kept until the next run."""
    return test_root().parent / "pictures"


class Api(Protocol):
    """What the page's tests need of REST, by an administrator."""

    async def post(self, path: str, /) -> Any:
        """POST below /api/v1; the answer's JSON."""


class AdminPage:
    """One tab with the page; `base` is the node's address."""

    def __init__(self, tab: Tab, base: str) -> None:
        self.tab = tab
        self.base = base

    async def login(self, rest: Api) -> None:
        """Log in with a one-time link."""
        await self.tab.goto(await self.link(rest))
        await self.tab.until("document.querySelector('.shell')")

    async def link(self, rest: Api) -> str:
        """A one-time link at the address that the test dials."""
        made = await rest.post("/session/links")
        return f"{self.base}/ui/login#{urlsplit(made['url']).fragment}"

    async def show(self, address: str, until: str = "document.querySelector('.main h1')") -> None:
        """Go to an address of the page and wait for what it shows."""
        await self.tab.goto(self.base + address)
        await self.tab.until(until)
        await self.tab.until(IS_QUIET)

    async def heading(self, text: str) -> None:
        """Wait for the view with that heading."""
        await self.tab.until(
            f"document.querySelector('h1')?.textContent.includes({json.dumps(text)})"
        )

    async def says(self, text: str, *, limit_s: float = 30.0) -> None:
        """Wait for a text to be on the page."""
        await self.tab.until(
            f"document.body.innerText.includes({json.dumps(text)})", limit_s=limit_s
        )

    async def text(self, selector: str) -> str:
        """The text of an element."""
        return str(
            await self.tab.run(f"document.querySelector({json.dumps(selector)}).textContent")
        )

    async def fill(self, values: dict[str, str]) -> None:
        """Fill the fields of the form, by their names."""
        for name, value in values.items():
            await self.tab.fill(f"form.form [name={name}]", value)

    async def choose(self, name: str, text: str) -> None:
        """Choose from a list by what it shows, once it has that."""
        options = f"[...document.querySelector('form.form [name={name}]')?.options ?? []]"
        found = f"{options}.find((one) => one.text.includes({json.dumps(text)}))?.value"
        await self.tab.until(found)
        await self.fill({name: str(await self.tab.run(found))})

    async def findings(self) -> list[Any]:
        """What axe finds on the view."""
        await self.tab.run(AXE.read_text(encoding="utf-8") + "; true")
        found = await self.tab.run(FINDINGS.replace("RULES", json.dumps(RULES)))
        return list(json.loads(found))

    async def picture(self, name: str) -> None:
        """Keep a picture of what is shown."""
        await self.tab.screenshot(pictures() / f"{name}.png")
