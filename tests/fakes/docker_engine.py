"""A Docker engine in memory, behind a real unix socket; it can be made to misbehave."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakeEngine:
    """Answers as Docker 20.10 does; `answers` overrides the answer for the end of a path."""

    def __init__(self, runtime: str, program: Path) -> None:
        self.api = "1.41"
        self.info: dict[str, Any] = {
            "ServerVersion": "20.10.24",
            "LiveRestoreEnabled": True,
            "Runtimes": {"runc": {"path": "runc"}, runtime: {"path": str(program)}},
        }
        self.has_image = False
        self.containers: dict[str, dict[str, Any]] = {}
        self.answers: dict[str, Handler] = {}
        self.asked: list[str] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        path = request.path
        self.asked.append(f"{request.method} {path.rpartition('/v' + self.api)[2]}")
        for end, answer in self.answers.items():
            if path.endswith(end):
                return await answer(request)
        word = path.removeprefix(f"/v{self.api}")
        if request.method == "DELETE":
            gone = self.containers.pop(word.rpartition("/")[2], None)
            return refusal(404, "No such container") if gone is None else web.Response(status=204)
        known: dict[str, Handler] = {
            "/version": saying(json.dumps({"ApiVersion": self.api, "Version": "20.10.24"})),
            "/info": saying(json.dumps(self.info)),
            "/images/load": self._load,
            "/containers/json": saying(json.dumps(list(self.containers.values()))),
            "/containers/create": self._create,
        }
        return await known.get(word, _unknown)(request)

    async def _load(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.has_image = True
        return web.json_response({"stream": "Loaded image"})

    async def _create(self, request: web.Request) -> web.StreamResponse:
        body, name = json.loads(await request.read()), request.query["name"]
        if not self.has_image:
            return refusal(404, f"No such image: {body['Image']}")
        if any(f"/{name}" in it["Names"] for it in self.containers.values()):
            return refusal(409, f"The container name {name} is already in use")
        return web.json_response({"Id": self.add(name, body["Labels"])}, status=201)

    def add(self, name: str, labels: dict[str, str]) -> str:
        """A container of that name, whosever it is; its id."""
        number = f"{len(self.containers) + 1:064x}"
        self.containers[number] = {"Id": number, "Names": [f"/{name}"], "Labels": labels}
        return number

    @asynccontextmanager
    async def listening(self, socket: Path) -> AsyncIterator[None]:
        """Serve at that socket."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        try:
            await web.UnixSite(runner, str(socket)).start()
            yield
        finally:
            await runner.cleanup()


async def _unknown(_: web.Request) -> web.StreamResponse:
    return refusal(404, "page not found")


def refusal(status: int, words: str) -> web.Response:
    """How an engine says no."""
    return web.json_response({"message": words}, status=status)


async def never(_: web.Request) -> web.StreamResponse:
    """No answer, for as long as anybody waits."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


async def half(request: web.Request) -> web.StreamResponse:
    """The beginning of an answer, and then the end of the connection."""
    response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "text/json"})
    await response.prepare(request)
    await response.write(b'{"ApiVersion": "1.41", ')
    transport = request.transport
    if transport is not None:
        transport.close()
    return response


def saying(text: str, status: int = 200, kind: str = "application/json") -> Handler:
    """That text."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=text.encode(), status=status, headers={"Content-Type": kind})

    return answer
