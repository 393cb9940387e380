"""A desktop in real Chromium, as its user meets it."""

import asyncio
import os
import re
import signal
import subprocess
from pathlib import Path

import aiohttp
import pytest

from qvdnode.desk.sandbox import FOLDERS, group_of
from qvdnode.host.cgroups import probe
from tests.e2e.conftest import MakeDesk, Screen
from tests.e2e.guest_processes import in_guest, pids_by_name
from tests.harness.chromium import Browser
from tests.harness.farm import PASSWORD, Desk, until_vm
from tests.harness.qvd import Viewer
from tests.harness.rest import Rest
from tests.harness.web_desktop import base_of, web_desktop
from tests.waiting import until

# A browser beside all other tests is slower than its waits allow, now and then.
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.alone]

SENTENCE = "¿Qué tal, señor Ñandú? €"
TEXT = "日本語 😀 §½"
LIMIT_S = 60.0
NUMBERS_FROM = 100_000
"""Of displays on the host that lead to those of guests; X servers have lower ones."""


def desk_group(desk: Desk) -> str:
    return group_of(f"{desk.node.prefix}qvd")


def displays(desk: Desk) -> set[int]:
    """The processes of all browsers' displays of the desk's node."""
    return probe().processes(desk_group(desk))


async def asked(desk: Desk, *program: str) -> str:
    """What a program of the host says that asks the guest's display.

    In a thread: the display may have to wait for a client that this process relays.
    """
    while "X Error" in (said := await asyncio.to_thread(_asked, desk, program)):
        pass  # a window went away while it was listed
    return said


def _asked(desk: Desk, program: tuple[str, ...]) -> str:
    pid = pids_by_name(desk, {"nxagent"})["nxagent"]
    link = Path(f"/tmp/.X11-unix/X{NUMBERS_FROM + pid}")
    link.symlink_to(f"/proc/{pid}/root/tmp/.X11-unix/X100")
    try:
        done = subprocess.run(
            [*program, "-display", f":{NUMBERS_FROM + pid}"],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
        )
    finally:
        link.unlink()
    assert done.returncode == 0 or "X Error" in done.stdout, done.stdout
    return done.stdout


async def holds(desk: Desk, word: str, *program: str) -> bool:
    """Whether the word is in what the program says."""
    return word in await asked(desk, *program)


async def windows(desk: Desk) -> set[str]:
    """The terminals on the guest's display, by the numbers of their windows."""
    tree = await asked(desk, "xwininfo", "-root", "-tree")
    return set(re.findall(r'(0x[0-9a-f]+) ".*\("xterm" "XTerm"\)', tree))


async def open_terminal(desk: Desk) -> None:
    """A terminal that writes what is typed in it to a file."""
    writes = "stty raw -echo; exec cat > ~/typed"
    in_guest(
        desk, f"DISPLAY=:100 LANG=C.UTF-8 setsid xterm -u8 -e sh -c '{writes}' >/dev/null 2>&1 &"
    )
    await until(lambda: holds(desk, "xterm", "xwininfo", "-root", "-tree"), limit_s=LIMIT_S)


async def has_the_keys(desk: Desk) -> bool:
    """Whether a terminal gets what is typed."""
    active = re.search(r"_NET_ACTIVE_WINDOW.*(0x[0-9a-f]+)", await asked(desk, "xprop", "-root"))
    return active is not None and active[1] in await windows(desk)


def typed(desk: Desk) -> str:
    return in_guest(desk, "cat ~/typed 2>/dev/null || true")


async def test_a_user_opens_a_desktop_types_and_resizes(
    make: MakeDesk, rest: Rest, browser: Browser, tmp_path: Path
) -> None:
    desk = await make()
    async with web_desktop(browser, desk) as opened:
        tab = opened.tab
        await until_vm(rest, desk.vm_id, display="connected")
        await open_terminal(desk)
        await opened.click(200, 150)
        await until(lambda: has_the_keys(desk), limit_s=LIMIT_S, what="the terminal to be active")
        await opened.type(SENTENCE)
        await until(
            lambda: typed(desk) == SENTENCE, limit_s=LIMIT_S, what=f"{SENTENCE}: {typed(desk)}"
        )
        await tab.click("#text-mode")
        await tab.command("Input.insertText", text=TEXT)
        await until(
            lambda: typed(desk) == SENTENCE + TEXT, limit_s=LIMIT_S, what=f"{TEXT}: {typed(desk)}"
        )
        await tab.size(840, 560)
        await until(
            lambda: holds(desk, "840x560", "xdpyinfo"),
            limit_s=LIMIT_S,
            what="the size of the page",
        )
        await tab.screenshot(tmp_path / "desktop.png")
        # Chromium has advice for this test, which reads the canvas.
        assert [said for said in tab.complaints() if not said.startswith("Canvas2D")] == []
    await until_vm(rest, desk.vm_id, state="running", display="suspended", viewer=False)
    await until(lambda: not displays(desk), limit_s=LIMIT_S, what="nothing left of the display")
    assert not list(FOLDERS.glob(f"{desk.node.prefix}qvd-*"))
    journal = (await rest.get(f"/sessions?vm_id={desk.vm_id}"))["items"]
    assert [entry["client"] for entry in journal] == ["browser"]


async def test_native_client_and_browser_take_over_from_each_other(
    make: MakeDesk, rest: Rest, browser: Browser, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    async with desk.dial() as connection:
        assert (await connection.connect(desk.vm_id, link="lan", geometry="800x600")).status == 101
        async with Viewer(connection, screen.display, tmp_path / "first") as viewer:
            await screen.watcher.wait_new(LIMIT_S)
            await open_terminal(desk)
            before = await windows(desk)
            async with web_desktop(browser, desk) as opened:
                await asyncio.wait_for(viewer.over.wait(), LIMIT_S)
                assert before == await windows(desk) != set()
                async with desk.dial() as back:
                    answer = await back.connect(desk.vm_id, link="lan", geometry="800x600")
                    assert answer.status == 101
                    async with Viewer(back, screen.display, tmp_path / "second"):
                        assert await opened.ended() == "taken_over"
                        await screen.watcher.wait_new(LIMIT_S)
                        assert before == await windows(desk) != set()
                        assert "Abrirlo aquí" in await opened.says()


async def test_a_display_that_dies_is_opened_again_by_itself(
    make: MakeDesk, rest: Rest, browser: Browser
) -> None:
    desk = await make()
    async with web_desktop(browser, desk) as opened:
        await open_terminal(desk)
        before = await windows(desk)
        first = await opened.tab.run("document.documentElement.dataset.shown")
        os.kill(max(displays(desk)), signal.SIGKILL)
        await opened.tab.until(
            f"(document.documentElement.dataset.shown ?? '{first}') !== '{first}'"
        )
        await opened.shown()
        assert before == await windows(desk) != set()
        await until_vm(rest, desk.vm_id, display="connected", viewer=True)


async def test_only_its_own_page_with_a_fresh_ticket_opens_a_desktop(
    make: MakeDesk, browser: Browser
) -> None:
    desk, other = await make(), await make()
    base = base_of(desk)
    address = base.replace("https", "wss") + "/my/screen"
    own = {"Origin": base}

    async def ticket(http: aiohttp.ClientSession) -> str:
        path = f"{base}/my/desktops/{desk.vm_id}/ticket"
        async with http.post(path, headers=own, ssl=False) as answer:
            return str((await answer.json())["ticket"])

    async def outcome(http: aiohttp.ClientSession, key: str) -> str:
        async with http.ws_connect(address, headers=own, ssl=False) as socket:
            await socket.send_json({"type": "open", "ticket": key, "width": 800, "height": 600})
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT and message.json()["type"] != "progress":
                    return str(message.json().get("code", message.json()["type"]))
        return "closed"

    async with logged_in(desk) as ana, logged_in(other) as ben:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await ana.ws_connect(address, headers={"Origin": "https://evil.example"}, ssl=False)
        assert refused.value.status == 403
        async with aiohttp.ClientSession() as nobody:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await nobody.ws_connect(address, headers=own, ssl=False)
            assert refused.value.status == 401
        key = await ticket(ana)
        assert await outcome(ben, key) == "forbidden"  # stolen
        key = await ticket(ana)
        assert await outcome(ana, key) == "shown"
        assert await outcome(ana, key) == "forbidden"  # replayed
        path = f"{base}/my/desktops/{desk.vm_id}/ticket"
        async with ben.post(path, headers=own, ssl=False) as answer:
            assert answer.status == 403


async def test_a_desktop_that_is_open_ends_with_its_login(make: MakeDesk) -> None:
    """Whoever has stolen a cookie keeps nothing once its owner has ended that login."""
    desk = await make()
    base = base_of(desk)
    own = {"Origin": base}
    async with logged_in(desk) as thief, logged_in(desk) as owner:
        async with thief.post(
            f"{base}/my/desktops/{desk.vm_id}/ticket", headers=own, ssl=False
        ) as answer:
            key = (await answer.json())["ticket"]
        address = base.replace("https", "wss") + "/my/screen"
        async with (
            asyncio.timeout(LIMIT_S),
            thief.ws_connect(address, headers=own, ssl=False) as socket,
        ):
            await socket.send_json({"type": "open", "ticket": key, "width": 800, "height": 600})
            told: list[str] = []
            async for message in socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    continue
                told.append(message.json().get("code", message.json()["type"]))
                if told[-1] == "shown":
                    await end_others(owner, base)
    assert told[-2:] == ["shown", "unauthenticated"]


async def end_others(http: aiohttp.ClientSession, base: str) -> None:
    """End the user's other logins."""
    async with http.get(f"{base}/my/sessions", ssl=False) as answer:
        others = [it["id"] for it in (await answer.json())["items"] if not it["here"]]
    for number in others:
        path = f"{base}/my/sessions/{number}"
        async with http.delete(path, headers={"Origin": base}, ssl=False) as answer:
            assert answer.status == 204


def logged_in(desk: Desk) -> "Login":
    return Login(desk)


class Login:
    """A program with the user's cookie."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def __aenter__(self) -> aiohttp.ClientSession:
        base = base_of(self._desk)
        body = {"login": self._desk.login, "password": PASSWORD}
        async with self._http.post(
            f"{base}/my/session", json=body, headers={"Origin": base}, ssl=False
        ) as answer:
            assert answer.status == 200, await answer.text()
        return self._http

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()
