"""Streams of events over HTTP."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import ClientResponse, ClientSession, ClientTimeout, TCPConnector

from qvdnode.admin.parts import AdminParts
from qvdnode.admin.routes import events as routes
from qvdnode.db.pool import Database
from qvdnode.wire.server_sent_events import EventReader, SentEvent
from tests.integration.admin.browser import browser
from tests.integration.admin.checked_api import CheckedApi
from tests.waiting import until

LIMIT_S = 15.0


@dataclass(slots=True)
class Stream:
    """An open stream, read event by event."""

    answer: ClientResponse
    reader: EventReader = field(default_factory=EventReader)
    waiting: list[SentEvent] = field(default_factory=list)
    pings: int = 0

    async def next(self) -> SentEvent:
        """The next event; fails the test at the end of the stream."""
        async with asyncio.timeout(LIMIT_S):
            while not self.waiting:
                piece = await self.answer.content.readany()
                assert piece, "the stream has ended"
                self.pings += piece.count(b": ping")
                self.waiting += self.reader.feed(piece)
        return self.waiting.pop(0)

    async def until(self, name: str) -> SentEvent:
        """The next event of that name."""
        while (event := await self.next()).name != name:
            pass
        return event


@contextlib.asynccontextmanager
async def stream(
    api: CheckedApi, query: str = "", *, cookies: dict[str, str] | None = None, last: str = ""
) -> AsyncIterator[Stream]:
    headers = {"Authorization": f"Bearer {api.token}"}
    if cookies is not None:
        headers = {"Cookie": "; ".join(f"{name}={key}" for name, key in cookies.items())}
    if last:
        headers["Last-Event-ID"] = last
    url = f"/api/v1/events{query}"
    async with api.client.get(url, headers=headers, timeout=ClientTimeout(total=60)) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert answer.headers["Cache-Control"] == "no-store"
        opened = Stream(answer)
        assert (await opened.next()).name == "hello"
        yield opened


async def test_changes_are_told_as_they_happen(api: CheckedApi) -> None:
    async with stream(api) as one:
        made = await api.post("/tenants", {"name": "acme"})
        event = await one.until("tenant")
        assert json.loads(event.data) == {"kind": "tenant", "id": made["id"], "change": "insert"}
        audit = json.loads((await one.until("audit")).data)
        assert (audit["actor"], audit["action"]) == ("tests", "tenant.create")


async def test_only_wanted_kinds_are_told(api: CheckedApi) -> None:
    async with stream(api, "?kinds=audit,vm") as one:
        await api.post("/tenants", {"name": "acme"})
        assert (await one.next()).name == "audit"


async def test_an_unknown_kind_is_refused_with_the_known_ones(api: CheckedApi) -> None:
    said = await api.get("/events", 422, kinds="vm,password")
    assert "tenant, user, flavour" in said["detail"]


async def test_a_reader_goes_on_after_the_last_event(api: CheckedApi) -> None:
    async with stream(api, "?kinds=tenant") as one:
        await api.post("/tenants", {"name": "first"})
        first = await one.next()
    second = await api.post("/tenants", {"name": "second"})
    async with stream(api, "?kinds=tenant", last=first.id) as one:
        assert json.loads((await one.next()).data)["id"] == second["id"]
    async with stream(api, "?kinds=tenant", last="another-9") as one:
        assert (await one.next()).name == "resync"


async def test_a_stream_ends_with_its_login(api: CheckedApi, database: Database) -> None:
    made = browser(api)
    login = await made.call("POST", "/session", {"token": api.token}, status=200)
    await database.execute("UPDATE browser_session SET seen_at = now() - interval '10 min'")
    async with stream(api, "?kinds=vm", cookies=made.cookies) as one:
        used = "SELECT now() - seen_at < interval '5 min' FROM browser_session"
        assert not await database.fetchval(used)
        await api.call("DELETE", f"/web-sessions/{login['id']}", status=204)
        assert "log in again" in (await one.next()).data
        assert await one.answer.content.readany() == b""
    await made.call("GET", "/events", status=401)


async def test_a_stream_ends_with_its_token(api: CheckedApi) -> None:
    issued = await api.post("/tokens", {"name": "watcher"})
    async with stream(CheckedApi(api.client, issued["token"])) as one:
        await api.call("DELETE", f"/tokens/{issued['id']}", status=204)
        await one.until("end")


async def test_a_login_that_is_over_is_noticed_without_a_change(
    api: CheckedApi, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "PING_S", 0.1)
    made = browser(api)
    await made.call("POST", "/session", {"token": api.token}, status=200)
    async with stream(api, "?kinds=vm", cookies=made.cookies) as one:
        await until(lambda: _pinged(one), limit_s=LIMIT_S)
        await database.execute("UPDATE browser_session SET ends_at = now()")
        assert (await one.next()).name == "end"


async def _pinged(one: Stream) -> bool:
    piece = await one.answer.content.readany()
    return b": ping" in piece


async def test_two_hundred_streams_and_their_end(api: CheckedApi, parts: AdminParts) -> None:
    url = api.client.make_url("/api/v1/events")
    headers = {"Authorization": f"Bearer {api.token}"}
    async with (
        ClientSession(headers=headers, connector=TCPConnector(limit=0)) as clients,
        contextlib.AsyncExitStack() as answers,
    ):
        streams = [Stream(await answers.enter_async_context(clients.get(url))) for _ in range(200)]
        await api.post("/tenants", {"name": "acme"})
        for one in streams:
            await one.until("tenant")
        parts.events.end_all()
        for one in streams:
            await one.until("end")


async def test_a_client_that_does_not_read_loses_its_backlog_and_is_told(
    api: CheckedApi, database: Database
) -> None:
    host, port = str(api.client.host), int(api.client.port or 0)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(slow, (host, port))
        head = f"GET /api/v1/events HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {api.token}"
        await loop.sock_sendall(slow, f"{head}\r\n\r\n".encode())
        assert b" 200 " in await loop.sock_recv(slow, 100)
        noise = "INSERT INTO tenant (name) SELECT 't' || i FROM generate_series($1::int, $2) i"
        for start in range(0, 40_000, 2_000):
            await database.execute(noise, start, start + 1_999)
        async with asyncio.timeout(LIMIT_S):
            seen = b""
            while b"event: resync" not in seen:
                seen = seen[-100:] + await loop.sock_recv(slow, 65_536)
