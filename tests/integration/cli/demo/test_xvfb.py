"""X servers of one's own: many at once, each on its own display, none left behind."""

import asyncio
import secrets
from contextlib import AsyncExitStack

import pytest

from qvdnode.cli.demo import xvfb as module
from qvdnode.cli.demo.xvfb import xvfb
from qvdnode.client.x11_link import X11Link
from qvdnode.model.errors import HostFailed, Unavailable
from qvdnode.wire.x11 import Screen

SIZE = "640x480x24"


async def screen_of(display: str) -> Screen:
    async with X11Link(display) as link:
        return link.screen


async def test_servers_that_start_at_once_have_displays_of_their_own() -> None:
    async with AsyncExitStack() as servers:
        starts = (servers.enter_async_context(xvfb(SIZE)) for _ in range(8))
        displays = await asyncio.gather(*starts)
        assert len(set(displays)) == 8
        for display in displays:
            assert (await screen_of(display)).width == 640
    for display in displays:
        with pytest.raises(Unavailable):
            await screen_of(display)


@pytest.fixture
def one_display(monkeypatch: pytest.MonkeyPatch) -> None:
    number = module.DISPLAYS.start - 1 - secrets.randbelow(500)
    monkeypatch.setattr(module, "DISPLAYS", range(number, number + 1))


@pytest.mark.usefixtures("one_display")
async def test_a_display_is_never_shared() -> None:
    async with xvfb(SIZE) as display:
        with pytest.raises(HostFailed, match="does not start"):
            async with xvfb(SIZE):
                pass
        assert (await screen_of(display)).height == 480
