"""A registry in memory that can ask for a token, break off, lie and be slow to take."""

import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import encode_basic_auth, web

SOME_SIZE = 100_000
USER, PASSWORD, TOKEN = "ana", "secret", "t0ken"


@dataclass
class FakeRegistry:
    """What the distribution specification says of blobs, uploads, manifests and tags."""

    wants_login: bool = False
    breaks_off: int = 0
    """So many downloads of blobs of some size end after half of what is left."""
    upload_failures: int = 0
    """So many parts of uploads are taken, and answered by an error."""
    lies: bool = False
    """Blobs are sent with one byte changed."""
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    ranges: list[str] = field(default_factory=list)
    """What downloads asked for that went on."""
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Any request."""
        if request.path == "/token":
            given = request.headers.get("Authorization", "")
            good = given == encode_basic_auth(USER, PASSWORD)
            return web.json_response({"token": TOKEN}) if good else web.Response(status=401)
        if self.wants_login and request.headers.get("Authorization") != f"Bearer {TOKEN}":
            asks = f'Bearer realm="{self.url}/token",service="fake",scope="all"'
            return web.Response(status=401, headers={"WWW-Authenticate": asks})
        _, _, rest = request.path.partition("/v2/")
        for kind, answer in (
            ("/blobs/uploads/", self._upload),
            ("/blobs/", self._blob),
            ("/manifests/", self._manifest),
            ("/tags/", self._tags),
        ):
            repository, found, name = rest.partition(kind)
            if found:
                return await answer(request, repository, name)
        return web.Response(status=404)

    async def _upload(self, request: web.Request, repository: str, name: str) -> web.Response:
        if request.method == "POST":
            name = f"u{len(self.uploads)}"
            self.uploads[name] = bytearray()
        content = self.uploads[name]
        if request.method == "PATCH":
            content += await request.read()
            if self.upload_failures:
                self.upload_failures -= 1
                return web.Response(status=500)
        if request.method == "PUT":
            digest = request.query["digest"]
            if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
                return web.Response(status=400)
            self.blobs[digest] = bytes(content)
            return web.Response(status=201)
        headers = {"Location": f"/v2/{repository}/blobs/uploads/{name}"}
        if content:
            headers["Range"] = f"0-{len(content) - 1}"
        return web.Response(status=204 if request.method == "GET" else 202, headers=headers)

    async def _blob(
        self, request: web.Request, _repository: str, digest: str
    ) -> web.StreamResponse:
        content = self.blobs.get(digest)
        if content is None:
            return web.Response(status=404)
        if request.method == "HEAD":
            return web.Response(headers={"Content-Length": str(len(content))})
        asked = request.headers.get("Range")
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if asked:
            self.ranges.append(asked)
        body = bytearray(content[start:])
        if self.lies and body:
            body[-1] ^= 1
        answer = web.StreamResponse(status=206 if asked else 200)
        answer.content_length = len(body)
        await answer.prepare(request)
        if self.breaks_off and len(body) > SOME_SIZE:
            self.breaks_off -= 1
            await answer.write(bytes(body[: len(body) // 2]))
            if request.transport is not None:
                request.transport.close()
            return answer
        await answer.write(bytes(body))
        return answer

    async def _manifest(self, request: web.Request, repository: str, tag: str) -> web.Response:
        key = f"{repository}:{tag}"
        if request.method == "PUT":
            self.manifests[key] = await request.read()
            return web.Response(status=201)
        found = self.manifests.get(key)
        return web.Response(status=404) if found is None else web.Response(body=found)

    async def _tags(self, request: web.Request, repository: str, _name: str) -> web.Response:
        tags = sorted(
            key.rpartition(":")[2] for key in self.manifests if key.startswith(f"{repository}:")
        )
        last = request.query.get("last", "")
        page = [tag for tag in tags if tag > last][:3]
        more = {"Link": "more"} if page and page[-1] != tags[-1] else {}
        answer: dict[str, Any] = {"name": repository, "tags": page}
        return web.Response(text=json.dumps(answer), headers=more)


@contextlib.asynccontextmanager
async def serving(fake: FakeRegistry) -> AsyncIterator[str]:
    """The registry on loopback; its HOST:PORT."""
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", fake.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        fake.url = f"http://127.0.0.1:{port}"
        yield f"127.0.0.1:{port}"
    finally:
        await runner.cleanup()
