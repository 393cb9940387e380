"""A registry in memory, by the OCI distribution specification, that can be told to misbehave."""

import asyncio
import base64
import hashlib
import json
import re
import secrets
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

PATH = re.compile(
    r"/v2/(?P<name>[a-z0-9/._-]+)/(?P<kind>blobs/uploads|blobs|manifests|tags)/(?P<what>.*)"
)
PIECE = 64 * 1024


@dataclass
class FakeRegistry:
    """What it has, what was asked, and how it misbehaves."""

    user: str = ""
    password: str = ""
    token: bool = False
    """Ask for a token, not for name and password."""
    blobs: dict[str, bytes] = field(default_factory=dict)
    documents: dict[tuple[str, str], bytes] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    sent_bytes: int = 0
    taken_bytes: int = 0
    cut_after: list[int] = field(default_factory=list)
    """Of each of the next blobs that are fetched, so many bytes before the connection is cut."""
    fail_uploads: int = 0
    """So many of the next parts of uploads are cut off after half of them is taken."""
    flip: bool = False
    """Send blobs with a flipped bit."""
    silent: bool = False
    ignore_ranges: bool = False
    redirect: str = ""
    page: int = 1_000
    url: str = ""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """What a silent one waits for."""
    _tokens: dict[str, str] = field(default_factory=dict)

    async def handle(self, request: web.Request) -> web.StreamResponse:  # noqa: PLR0911 - one line for each kind
        """Any request."""
        self.asked.append((request.method, request.path))
        if self.silent:
            await self.ended.wait()
        if request.path == "/token":
            return self._token(request)
        found = PATH.fullmatch(request.path)
        if found is None:
            return web.Response(status=404)
        refused = self._refused(request, found["name"])
        if refused is not None:
            return refused
        name, what = found["name"], found["what"]
        match found["kind"]:
            case "tags":
                return self._tags(request, name)
            case "manifests":
                return await self._manifest(request, name, what)
            case "blobs":
                return await self._blob(request, what)
            case _:
                return await self._upload(request, name, what)

    def tags(self, name: str) -> list[str]:
        """The tags of a repository."""
        return sorted(tag for repository, tag in self.documents if repository == name)

    def _refused(self, request: web.Request, name: str) -> web.Response | None:
        if not self.user:
            return None
        header = request.headers.get("Authorization", "")
        if not self.token:
            if header == self._basic():
                return None
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="fake"'})
        action = "pull" if request.method in {"GET", "HEAD"} else "pull,push"
        given = self._tokens.get(header.removeprefix("Bearer "), "")
        if given == f"repository:{name}:{action}" or given.endswith("push"):
            return None
        challenge = (
            f'Bearer realm="{self.url}/token",service="fake",scope="repository:{name}:{action}"'
        )
        return web.Response(status=401, headers={"WWW-Authenticate": challenge})

    def _basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def _token(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != self._basic():
            return web.Response(status=401)
        token = secrets.token_hex(8)
        self._tokens[token] = request.query["scope"]
        return web.json_response({"token": token})

    def _tags(self, request: web.Request, name: str) -> web.Response:
        every = [tag for tag in self.tags(name) if tag > request.query.get("last", "")]
        if not self.tags(name):
            return web.Response(status=404)
        some = every[: self.page]
        headers = {"Link": "</next>; rel=next"} if len(every) > len(some) else {}
        return web.json_response({"name": name, "tags": some}, headers=headers)

    async def _manifest(self, request: web.Request, name: str, tag: str) -> web.Response:
        if request.method == "PUT":
            raw = await request.content.read()
            document = json.loads(raw)
            parts = [document["config"], *document["layers"]]
            if any(part["digest"].removeprefix("sha256:") not in self.blobs for part in parts):
                return web.json_response({"errors": [{"message": "blob unknown"}]}, status=400)
            self.documents[name, tag] = raw
            return web.Response(status=201)
        found = self.documents.get((name, tag))
        if found is None:
            return web.Response(status=404)
        digest = hashlib.sha256(found).hexdigest()
        return web.Response(body=found, headers={"Docker-Content-Digest": f"sha256:{digest}"})

    async def _blob(self, request: web.Request, digest: str) -> web.StreamResponse:
        content = self.blobs.get(digest.removeprefix("sha256:"))
        if content is None:
            return web.Response(status=404)
        if request.method == "HEAD":
            return web.Response(headers={"Content-Length": str(len(content))})
        if self.redirect:
            return web.Response(status=307, headers={"Location": self.redirect})
        start = 0
        if "Range" in request.headers and not self.ignore_ranges:
            self.ranges.append(request.headers["Range"])
            start = int(request.headers["Range"].removeprefix("bytes=").rstrip("-"))
        if self.flip:
            content = content[:-1] + bytes([content[-1] ^ 1])
        body = content[start:]
        response = web.StreamResponse(
            status=206 if start else 200, headers={"Content-Length": str(len(body))}
        )
        await response.prepare(request)
        cut = self.cut_after.pop(0) if self.cut_after else len(body)
        for at in range(0, min(cut, len(body)), PIECE):
            part = body[at : min(at + PIECE, cut)]
            self.sent_bytes += len(part)
            await response.write(part)
        if cut < len(body) and request.transport is not None:
            request.transport.close()
        return response

    async def _upload(self, request: web.Request, name: str, place: str) -> web.Response:  # noqa: PLR0911 - one line for each step
        if request.method == "POST":
            place = secrets.token_hex(8)
            self.uploads[place] = bytearray()
            return web.Response(
                status=202, headers={"Location": f"/v2/{name}/blobs/uploads/{place}?a=b"}
            )
        upload = self.uploads[place]
        location = {"Location": f"/v2/{name}/blobs/uploads/{place}?a=b"}
        if request.method == "GET":
            last = max(len(upload) - 1, 0)
            return web.Response(status=204, headers={**location, "Range": f"0-{last}"})
        body = await request.content.read()
        if request.method == "PATCH":
            start = int(request.headers["Content-Range"].partition("-")[0])
            if start != len(upload):
                return web.Response(status=416)
            if self.fail_uploads:
                self.fail_uploads -= 1
                upload += body[: len(body) // 2]
                if request.transport is not None:
                    request.transport.close()
                return web.Response(status=500)
            upload += body
            self.taken_bytes += len(body)
            last = len(upload) - 1
            return web.Response(status=202, headers={**location, "Range": f"0-{last}"})
        digest = request.query["digest"].removeprefix("sha256:")
        if hashlib.sha256(upload).hexdigest() != digest:
            return web.json_response({"errors": [{"message": "digest differs"}]}, status=400)
        self.blobs[digest] = bytes(self.uploads.pop(place))
        return web.Response(status=201)


@asynccontextmanager
async def served(registry: FakeRegistry, trust: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve it on a port that the kernel gives; yields HOST:PORT."""
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", registry.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=trust).start()
    port = runner.addresses[0][1]
    registry.url = f"{'http' if trust is None else 'https'}://127.0.0.1:{port}"
    try:
        yield f"127.0.0.1:{port}"
    finally:
        registry.ended.set()
        await runner.cleanup()
