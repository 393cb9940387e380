"""Drives Debian's Chromium over the DevTools protocol: tabs, scripts, screenshots, complaints."""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import signal
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import aiohttp

from tests.harness.browser_network import browser_network
from tests.waiting import until

START_LIMIT_S: Final = 60.0
ANSWER_LIMIT_S: Final = 60.0
WAIT_LIMIT_S: Final = 30.0
MESSAGE_MAX: Final = 64 * 1024 * 1024
PORT_FILE: Final = "DevToolsActivePort"
FLAGS: Final = (
    "--headless=new",
    "--no-sandbox",  # tests run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--password-store=basic",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)


class ScriptError(AssertionError):
    """A script in the page raised an exception."""


class Tab:
    """One tab of the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._events: list[dict[str, Any]] = []
        self._unanswered: dict[str, str] = {}
        self._failed: list[str] = []

    async def read(self) -> None:
        """Take what the browser says until the tab is closed."""
        async for message in self._socket:
            said = message.json()
            if "id" not in said:
                self._note(said)
            elif (waiting := self._waiting.pop(said["id"], None)) and not waiting.done():
                waiting.set_result(said)

    def _note(self, event: dict[str, Any]) -> None:
        """Keep an event; of requests only which are still unanswered."""
        told = event["params"]
        match event["method"]:
            case "Network.requestWillBeSent":
                self._unanswered[told["requestId"]] = told["request"]["url"]
            case "Network.responseReceived" if told["response"]["status"] >= HTTPStatus.BAD_REQUEST:
                self._failed.append(f"{told['response']['status']} {told['response']['url']}")
            case "Network.loadingFailed":
                url = self._unanswered.pop(told["requestId"], "?")
                self._failed.append(f"{told['errorText']} {url}")
            case "Network.loadingFinished":
                self._unanswered.pop(told["requestId"], None)
            case method if not method.startswith("Network."):
                self._events.append(event)
            case _:
                pass

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol and its result."""
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(ANSWER_LIMIT_S):
            said = await answer
        if "error" in said:
            raise AssertionError(f"{method}: {said['error']}")
        result: dict[str, Any] = said["result"]
        return result

    async def run(self, script: str) -> Any:
        """The value of an expression in the page, awaited if it is a promise."""
        said = await self.command(
            "Runtime.evaluate",
            expression=script,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        if problem := said.get("exceptionDetails"):
            raise ScriptError(f"{script[:200]}: {problem.get('exception', problem)}")
        return said["result"].get("value")

    async def until(self, script: str, *, limit_s: float = WAIT_LIMIT_S) -> None:
        """Wait for an expression to be true; a page that is still loading has not got there."""

        async def holds() -> bool:
            try:
                return bool(await self.run(f"!!({script})"))
            except ScriptError:
                return False

        try:
            await until(holds, limit_s=limit_s, what=script)
        except AssertionError as error:
            told = await self.run(
                "[location.href, document.readyState, document.body?.innerText.slice(0, 1500)]"
            )
            raise AssertionError(
                f"{error}; {self.complaints()}; failed: {self._failed};"
                f" no answer yet: {[*self._unanswered.values()]};"
                f" the page says: {told}"
            ) from None

    async def goto(self, url: str) -> None:
        """Load an address."""
        await self.command("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def click(self, selector: str, text: str = "") -> None:
        """Click the first element that the selector finds, with that text if one is given."""
        await self.until(f"({FIND})({json.dumps(selector)}, {json.dumps(text)})")
        await self.run(f"({FIND})({json.dumps(selector)}, {json.dumps(text)}).click()")

    async def fill(self, selector: str, value: str) -> None:
        """Put a value into a field as typing or choosing it would."""
        await self.until(f"document.querySelector({json.dumps(selector)})")
        await self.run(f"({FILL})({json.dumps(selector)}, {json.dumps(value)})")

    async def choose_file(self, selector: str, path: Path) -> None:
        """Choose a file in a file field, as a person would in the dialog."""
        await self.until(f"document.querySelector({json.dumps(selector)})")
        found = await self.command(
            "Runtime.evaluate", expression=f"document.querySelector({json.dumps(selector)})"
        )
        await self.command(
            "DOM.setFileInputFiles", files=[str(path)], objectId=found["result"]["objectId"]
        )

    async def save_to(self, folder: Path) -> None:
        """Save downloads in a folder, without asking."""
        await self.command(
            "Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder)
        )

    async def press(self, key: str, *, code: int, modifiers: int = 0) -> None:
        """Press and release a key; modifiers: 1 Alt, 2 Control, 4 Meta, 8 Shift."""
        for kind in ("rawKeyDown", "keyUp"):
            await self.command(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                modifiers=modifiers,
            )

    async def screenshot(self, path: Path) -> None:
        """Save a picture of what is shown; a tab behind another one is drawn by nobody."""
        await self.command("Page.bringToFront")
        path.parent.mkdir(parents=True, exist_ok=True)
        shot = await self.command("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))

    async def media(self, **features: str) -> None:
        """Emulate media features, such as prefers_color_scheme="dark"."""
        told = [{"name": k.replace("_", "-"), "value": v} for k, v in features.items()]
        await self.command("Emulation.setEmulatedMedia", features=told)

    async def size(self, width: int, height: int, *, mobile: bool = False) -> None:
        """Show the page in a window of that size."""
        await self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=mobile,
        )

    def complaints(self) -> list[str]:
        """Violations of the policy, exceptions and errors of the console; not refused requests."""
        found = []
        for event in self._events:
            told = event["params"]
            if event["method"] == "Log.entryAdded" and told["entry"]["source"] != "network":
                found.append(told["entry"]["text"][:400])
            elif event["method"] == "Runtime.exceptionThrown":
                found.append(str(told["exceptionDetails"].get("exception", told))[:400])
            elif event["method"] == "Runtime.consoleAPICalled" and told["type"] == "error":
                found.append(str([part.get("value") for part in told["args"]])[:400])
        return found


FIND: Final = """(selector, text) => [...document.querySelectorAll(selector)].find(
  (element) => !element.disabled && element.textContent.includes(text))"""
FILL: Final = """(selector, value) => {
  const element = document.querySelector(selector);
  const kind = element instanceof HTMLSelectElement ? HTMLSelectElement : HTMLInputElement;
  element.focus();
  Object.getOwnPropertyDescriptor(kind.prototype, "value").set.call(element, value);
  for (const name of ["input", "change"]) element.dispatchEvent(new Event(name, { bubbles: true }));
}"""


class Browser:
    """A Chromium with a profile of its own."""

    def __init__(self, http: aiohttp.ClientSession, base: str, tasks: asyncio.TaskGroup) -> None:
        self._http = http
        self._base = base
        self._tasks = tasks

    async def tab(self, url: str = "about:blank") -> Tab:
        """Open a tab."""
        async with self._http.put(f"{self._base}/json/new?about:blank") as answer:
            made = await answer.json(content_type=None)
        socket = await self._http.ws_connect(made["webSocketDebuggerUrl"], max_msg_size=MESSAGE_MAX)
        tab = Tab(socket)
        self._tasks.create_task(tab.read())
        for domain in ("Page", "Runtime", "Log", "Network"):
            await tab.command(f"{domain}.enable")
        if url != "about:blank":
            await tab.goto(url)
        return tab


@contextlib.asynccontextmanager
async def chromium(
    profile: Path, *flags: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Browser]:
    """A browser, ended with all its processes at the end; `profile` is an empty folder."""
    async with browser_network() as network:
        process = await asyncio.create_subprocess_exec(
            *network.command("chromium", *FLAGS, f"--user-data-dir={profile}"),
            f"--proxy-server=socks5://127.0.0.1:{network.proxy_port}",
            "--proxy-bypass-list=<-loopback>",  # the loopback goes through it as well
            *flags,
            "about:blank",
            env={**os.environ, "HOME": str(profile), **(environment or {})},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=network.descriptors,
        )
        try:
            await until(lambda: _port(profile), limit_s=START_LIMIT_S, what="Chromium")
            port = await network.way_in(_port(profile) or 0)
            async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as tasks:
                yield Browser(http, f"http://127.0.0.1:{port}", tasks)
                await http.close()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def _port(profile: Path) -> int | None:
    """The port that Chromium wrote down once it listens."""
    try:
        return int((profile / PORT_FILE).read_text().splitlines()[0])
    except (OSError, IndexError, ValueError):
        return None
