"""Which node of a farm a command asks."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from qvdnode.cli.api_client import ApiClient
from qvdnode.cli.saved_login import OtherNode, SavedLogin
from qvdnode.model.errors import Unavailable

WELL_BELOW_A_LIMIT_S = 5.0


class Node:
    """A node that says its name to every request, and counts those of the API."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked = 0

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_route("*", "/healthz", self._healthz)
        app.router.add_route("*", "/api/v1/{path:.*}", self._answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.json_response({})

    async def _answer(self, _request: web.Request) -> web.Response:
        self.asked += 1
        return web.json_response({"name": self.name})


@contextlib.asynccontextmanager
async def silent() -> AsyncIterator[str]:
    """A node that takes connections and never says a word."""

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def login(first: str, *others: str) -> SavedLogin:
    return SavedLogin(first, None, "token", others=tuple(OtherNode(url, None) for url in others))


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_silent_node_does_not_delay_a_command(method: str) -> None:
    node, began_s = Node("two"), time.monotonic()
    async with (
        silent() as one,
        silent() as more,
        node.serving() as two,
        ApiClient(login(one, more, two)) as api,
    ):
        assert (await api.call(method, "/nodes"))["name"] == "two"
        assert (await api.call(method, "/nodes"))["name"] == "two"
    assert node.asked == 2
    assert time.monotonic() - began_s < WELL_BELOW_A_LIMIT_S


async def test_the_first_node_is_asked_when_it_answers() -> None:
    first, second = Node("one"), Node("two")
    async with first.serving() as one, second.serving() as two, ApiClient(login(one, two)) as api:
        assert (await api.get("/nodes"))["name"] == "one"
    assert second.asked == 0


async def test_a_node_that_goes_in_the_middle_is_replaced() -> None:
    first, second = Node("one"), Node("two")
    async with second.serving() as two, contextlib.AsyncExitStack() as scope:
        one = await scope.enter_async_context(first.serving())
        async with ApiClient(login(one, two)) as api:
            assert (await api.get("/nodes"))["name"] == "one"
            await scope.aclose()
            assert (await api.get("/nodes"))["name"] == "two"


async def test_when_none_answers_the_first_one_is_named() -> None:
    first, second = Node("one"), Node("two")
    async with first.serving() as one, second.serving() as two:
        pass
    async with ApiClient(login(one, two)) as api:
        with pytest.raises(Unavailable, match="cannot be reached") as refused:
            await api.get("/nodes")
    assert one.removeprefix("http://") in str(refused.value)
