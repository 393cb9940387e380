"""A small client of a test node's REST."""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

import aiohttp


class Refused(AssertionError):
    """REST answered with a problem."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status}: {body[:500]}")
        self.status = status
        self.body = body


class Rest:
    """Calls with the admin token; certificates are not checked, since the node is our own child."""

    def __init__(self, base: str, token: str) -> None:
        self._base = base
        self._headers = {"Authorization": f"Bearer {token}"}
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the connection pool."""
        self._http = aiohttp.ClientSession(
            headers=self._headers, timeout=aiohttp.ClientTimeout(total=300)
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        if self._http is not None:
            await self._http.close()

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        data: AsyncIterator[bytes] | None = None,
    ) -> Any:
        """One call under /api/v1; the JSON answer. Raises Refused on a problem."""
        assert self._http is not None
        url = path if path.startswith("http") else f"{self._base}/api/v1{path}"
        async with self._http.request(method, url, json=body, data=data, ssl=False) as answer:
            text = await answer.text()
            if answer.status >= 400:
                raise Refused(answer.status, text)
            if answer.content_type == "application/x-ndjson":
                return text.splitlines()
            return await answer.json(content_type=None) if text else None

    async def get(self, path: str) -> Any:
        """GET."""
        return await self.call("GET", path)

    async def post(self, path: str, body: object = None) -> Any:
        """POST."""
        return await self.call("POST", path, body)

    async def status(self, path: str) -> int:
        """The status of a GET of a path outside /api/v1, such as /readyz."""
        assert self._http is not None
        async with self._http.get(f"{self._base}{path}", ssl=False) as answer:
            return answer.status

    async def at_console(self, vm_id: int, typed: str) -> aiohttp.ClientWebSocketResponse:
        """The console of a VM, where that was typed once its shell asked for something."""
        assert self._http is not None
        socket = await self._http.ws_connect(f"{self._base}/console/{vm_id}", ssl=False)
        seen = b""
        while b"# " not in seen:
            seen += await socket.receive_bytes()
        await socket.send_bytes(typed.encode())
        return socket

    async def metric(self, name: str) -> float:
        """The value of a metric that has no labels."""
        assert self._http is not None
        async with self._http.get(f"{self._base}/metrics", ssl=False) as answer:
            lines = (await answer.text()).splitlines()
        (value,) = [line.split()[1] for line in lines if line.startswith(f"{name} ")]
        return float(value)
