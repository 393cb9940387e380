"""A helper sees and uses a desktop after its user agreed, both in real Chromium."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.conftest import MakeDesk
from tests.e2e.test_browser_desktop import has_the_keys, logged_in, open_terminal, typed
from tests.harness.admin_page import AdminPage, pictures
from tests.harness.chromium import Browser
from tests.harness.rest import Rest
from tests.harness.web_desktop import base_of, web_desktop
from tests.waiting import until

# A browser beside all other tests is slower than its waits allow, now and then.
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.alone]

LIMIT_S = 60.0
TEXT = "ayuda"


async def test_a_helper_asks_sees_types_and_is_sent_away(  # noqa: PLR0915 - one desktop for all
    make: MakeDesk, rest: Rest, browser: Browser, tmp_path: Path
) -> None:
    desk = await make()
    async with web_desktop(browser, desk) as opened:
        user = opened.tab
        await open_terminal(desk)
        await opened.click(200, 150)
        await until(lambda: has_the_keys(desk), limit_s=LIMIT_S, what="the terminal to be active")
        page = AdminPage(await browser.tab(f"{base_of(desk)}/ui/"), base_of(desk))
        await page.login(rest)
        await page.show(f"/ui/vms/{desk.vm_id}", "document.querySelector('#assist-help')")
        # Refused: the helper is told, and saw nothing.
        await page.tab.click("#assist-see")
        await user.click("#help-no")
        await page.says("Ha terminado.", limit_s=LIMIT_S)
        assert not await page.tab.run("document.querySelector('.assisted').dataset.shown")
        await page.tab.click("#assist-end")
        # Agreed: the mark is on the screen as long as pictures go.
        await page.tab.click("#assist-help")
        await user.until("document.querySelector('#help-yes')")
        assert await AdminPage(user, base_of(desk)).findings() == []
        await user.click("#help-yes")
        await page.tab.until("document.querySelector('.assisted').dataset.shown", limit_s=LIMIT_S)
        await user.until("document.querySelector('#help-mark')")
        await page.picture("assistance-helper")
        await user.screenshot(pictures() / "assistance-user.png")
        assert await page.findings() == []
        for char in TEXT:
            for kind in ("keydown", "keyup"):
                await page.tab.run(
                    "document.querySelector('.assisted').dispatchEvent(new KeyboardEvent("
                    f"'{kind}', {{code: 'Key{char.upper()}', bubbles: true, cancelable: true}}))"
                )
        await until(lambda: typed(desk) == TEXT, limit_s=LIMIT_S, what=f"{TEXT}: {typed(desk)}")
        await user.click("#help-end")
        await page.says("Ha terminado.", limit_s=LIMIT_S)
        assert not await user.run("document.querySelector('#help-mark')")
        assert user.complaints() == [] or all("Canvas2D" in said for said in user.complaints())
    trail = (await rest.get(f"/audit?object_kind=vm&object_id={desk.vm_id}"))["items"]
    actions = [entry["action"] for entry in trail if entry["action"].startswith("assistance")]
    assert sorted(actions) == [
        "assistance.ask",
        "assistance.ask",
        "assistance.begin",
        "assistance.end",
    ]


async def test_a_helper_whose_token_was_revoked_sees_no_more(make: MakeDesk, rest: Rest) -> None:
    """Whoever has stolen an administrator's token keeps no desktop that it opened."""
    desk = await make()
    base = base_of(desk)
    own, sockets = {"Origin": base}, base.replace("https", "wss")
    issued = await rest.post("/tokens", {"name": f"helper{desk.vm_id}", "role": "helpdesk"})
    bearer = {**own, "Authorization": f"Bearer {issued['token']}"}
    async with (
        asyncio.timeout(LIMIT_S),
        logged_in(desk) as user,
        aiohttp.ClientSession() as helper,
        user.ws_connect(f"{sockets}/my/screen", headers=own, ssl=False) as screen,
    ):
        path = f"{base}/my/desktops/{desk.vm_id}/ticket"
        async with user.post(path, headers=own, ssl=False) as answer:
            ticket = (await answer.json())["ticket"]
        await screen.send_json({"type": "open", "ticket": ticket, "width": 800, "height": 600})
        await until_said(screen, "shown")
        path = f"{base}/api/v1/vms/{desk.vm_id}/assistance"
        async with helper.post(path, json={"helps": True}, headers=bearer, ssl=False) as answer:
            key = (await answer.json())["key"]
        seen = f"{sockets}/assistance?key={key}"
        shared = f"{sockets}/my/assistance?key={key}"
        async with (
            helper.ws_connect(seen, headers=bearer, ssl=False) as eyes,
            user.ws_connect(shared, headers=own, ssl=False) as page,
        ):
            await until_said(eyes, "shared")
            await page.send_bytes(b"a picture")
            assert (await eyes.receive()).data == b"a picture"
            await rest.call("DELETE", f"/tokens/{issued['id']}")
            assert await said(eyes) == "ended"
            await until_said(page, "ended")


async def until_said(socket: aiohttp.ClientWebSocketResponse, kind: str) -> None:
    while (one := await said(socket)) != kind:
        assert one is not None, f"closed before {kind}"


async def said(socket: aiohttp.ClientWebSocketResponse) -> str | None:
    """The kind of the next control message; None when the node has closed."""
    while True:
        message = await socket.receive()
        match message.type:
            case aiohttp.WSMsgType.TEXT:
                return str(message.json()["type"])
            case aiohttp.WSMsgType.BINARY:
                continue
            case _:
                return None
