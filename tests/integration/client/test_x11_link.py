"""An X server that stands still or goes away is told as such."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from qvdnode.client import x11_link
from qvdnode.client.x11_link import TCP_BASE, X11Link
from qvdnode.model.errors import Unavailable
from qvdnode.wire import x11
from tests.unit.wire.test_x11 import setup_reply

QUESTION = x11.atom("WM_CLASS")


@pytest.fixture
async def mute() -> AsyncIterator[str]:
    """The display of an X server that greets, and then never says a word."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(12)
        writer.write(setup_reply())
        await reader.read()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1] - TCP_BASE}"
    finally:
        server.close()


async def test_a_server_that_stands_still(mute: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(x11_link, "REPLY_LIMIT_S", 0.1)
    async with X11Link(mute) as link:
        assert link.screen.width == 1280
        with pytest.raises(Unavailable, match="does not answer"):
            await link.ask(QUESTION)
