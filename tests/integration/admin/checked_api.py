"""Calls REST in tests, and checks every answer against the endpoint table it is documented by."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient

from qvdnode.admin.endpoint import BYTES, JSON, NDJSON, AnyEndpoint, variables
from qvdnode.admin.endpoints import API_PREFIX, MY_PREFIX, SERVED
from qvdnode.admin.openapi import possible_errors
from qvdnode.admin.problem import ERROR_ANSWERS, MEDIA_TYPE, Problem

TAR = b"a tar file, for all the fake importer cares" * 100
PIECE = 1_000
EVERYWHERE = {404, 405}
"""What the router answers."""


@dataclass(frozen=True)
class Said:
    """An answer, already checked."""

    status: int
    body: Any
    headers: dict[str, str]

    def __getitem__(self, key: str) -> Any:
        """A field of the body."""
        return self.body[key]


class CheckedApi:
    """REST with a token; `said` collects the text of every answer there was."""

    def __init__(self, client: TestClient[Any, Any], token: str | None) -> None:
        self.client = client
        self.token = token
        self.texts: list[str] = []

    async def get(self, path: str, status: int = 200, **query: object) -> Said:
        """GET below /api/v1."""
        return await self.call("GET", path, status=status, query=query)

    async def post(self, path: str, body: object = None, status: int = 201) -> Said:
        """POST below /api/v1."""
        return await self.call("POST", path, body, status=status)

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        status: int | None = None,
        query: dict[str, object] | None = None,
        **options: Any,
    ) -> Said:
        """One request; checks the answer, and its status if one is wanted."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= options.pop("headers", {})
        if body is not None:
            options["json"] = body
        params = {key: str(value) for key, value in (query or {}).items()}
        below = path.startswith((API_PREFIX, f"{MY_PREFIX}/"))
        url = path if below else API_PREFIX + path
        async with self.client.request(
            method, url, params=params, headers=headers, **options
        ) as answer:
            said = await self._checked(method, url, answer)
        if status is not None:
            assert said.status == status, said
        return said

    async def download(self, path: str) -> bytes:
        """A download."""
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.client.get(API_PREFIX + path, headers=headers) as answer:
            assert answer.status == 200
            return await answer.read()

    async def import_image(self, name: str, tar: bytes = TAR, **query: object) -> list[Any]:
        """Stream a tar in; the lines of the answer."""
        said = await self.call(
            "POST",
            f"/images/{name}/versions",
            status=200,
            query=query,
            data=_pieces(tar),
            headers={"Content-Type": "application/x-tar"},
        )
        return [json.loads(line) for line in said.body.splitlines()]

    async def _checked(self, method: str, url: str, answer: ClientResponse) -> Said:
        text = await answer.text()
        self.texts.append(text)
        assert answer.headers["X-Correlation-ID"]
        assert answer.headers["Cache-Control"] == "no-store"
        endpoint = endpoint_of(method, url.partition("?")[0])
        if endpoint is not None:
            check(endpoint, answer.status, answer.content_type, text)
        else:
            assert answer.status in EVERYWHERE
            Problem.model_validate_json(text)
        body = (
            text if answer.content_type in {NDJSON, BYTES} else json.loads(text) if text else None
        )
        return Said(answer.status, body, dict(answer.headers))


async def _pieces(tar: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(tar), PIECE):
        yield tar[start : start + PIECE]


def endpoint_of(method: str, url: str) -> AnyEndpoint | None:
    """The row of the table that serves this, by the same rule as a reader of the document."""
    for prefix, endpoint in SERVED:
        if endpoint.method == method and _fits(prefix + endpoint.path, url):
            return endpoint
    return None


def _fits(template: str, url: str) -> bool:
    wanted, given = template.split("/"), url.split("/")
    names = {"{" + name + "}" for name in variables(template)}
    return len(wanted) == len(given) and all(
        word == piece or word in names for word, piece in zip(wanted, given, strict=True)
    )


def check(endpoint: AnyEndpoint, status: int, media: str, text: str) -> None:
    """Fail unless the document foresees this answer."""
    if status >= 400:
        foreseen = {ERROR_ANSWERS[kind].status for kind in possible_errors(endpoint)} | EVERYWHERE
        assert status in foreseen, f"{endpoint.method} {endpoint.path} answers {status}: {text}"
        assert media == MEDIA_TYPE
        problem = Problem.model_validate_json(text)
        assert problem.status == status
        return
    assert status in (endpoint.status, *endpoint.other_statuses)
    if endpoint.answer is None:
        assert not text or (endpoint.answer_media != JSON and media == endpoint.answer_media)
        return
    assert media == endpoint.answer_media
    # Not splitlines: a text in JSON may hold a line separator of Unicode.
    lines = text.removesuffix("\n").split("\n") if media == NDJSON else [text]
    for line in lines:
        endpoint.answer.model_validate_json(line)
