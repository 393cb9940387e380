"""The administrators' port over real TLS: strangers of every kind, and operators among them."""

import asyncio
import contextlib
import gc
import gzip
import json
import logging
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from qvdnode.admin.headers import HEADERS
from qvdnode.admin.listener import CONNECTIONS, serving
from qvdnode.admin.parts import AdminParts
from qvdnode.admin.settings import AdminSettings
from qvdnode.model.principal import Operator
from qvdnode.runtime.clock import SystemClock
from qvdnode.telemetry.repeated_events import WINDOW_S
from qvdnode.tls.acceptor import listen
from qvdnode.tls.identity import NodeIdentity
from tests.waiting import until

LIMIT_S = 10.0
QUICK = AdminSettings(head_limit_s=1.0, idle_limit_s=1.5, farewell_limit_s=0.5)
CROWD = AdminSettings(unauthenticated_per_source=20, unauthenticated_total=30, connections_max=40)
PATIENT = AdminSettings()
OPENAPI = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: node\r\n\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: node\r\n\r\n"
STALLED = {
    "no byte": (False, b""),
    "half a hello": (False, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "TLS done and silent": (True, b""),
    "half a head": (True, HEALTH[:20]),
    "half a head after an answer": (True, HEALTH + HEALTH[:20]),
    "kept alive after an answer": (True, HEALTH),
}


@dataclass
class Caller:
    """One connection to the port."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, head: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send, then status, headers and body of the answer."""
        self.writer.write(head)
        async with asyncio.timeout(LIMIT_S):
            lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines[1:] if line)
            }
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(lines[0].split()[1]), headers, body

    async def ended(self) -> bool:
        """Whether the node closes the connection in time."""
        async with asyncio.timeout(LIMIT_S):
            with contextlib.suppress(ConnectionError):
                await self.reader.read()
        return True


@dataclass
class Port:
    """A node's port for administrators."""

    number: int
    token: str
    callers: list[Caller] = field(default_factory=list)

    async def call(self, *, tls: bool = True, said: bytes = b"") -> Caller:
        """A new connection that says this."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # quicker than with the host's CAs
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.number, ssl=context if tls else None
        )
        writer.write(said)
        self.callers.append(Caller(reader, writer))
        return self.callers[-1]

    def leave_at_once(self) -> None:
        """End a connection by a reset that comes together with the handshake's last flight."""
        context = ssl._create_unverified_context()
        received, to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(received, to_send)
        with socket.create_connection(("127.0.0.1", self.number)) as plain:
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    plain.sendall(to_send.read())
                    received.write(plain.recv(65_536))
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            plain.sendall(to_send.read())

    def hang_up(self) -> None:
        """End all connections."""
        for caller in self.callers:
            caller.writer.transport.abort()

    def nodes(self, *headers: str) -> bytes:
        """A request that only operators may make."""
        lines = ["GET /api/v1/nodes HTTP/1.1", "Host: node", *headers]
        return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()

    def signed(self) -> bytes:
        """The same with a valid token."""
        return self.nodes(f"Authorization: Bearer {self.token}")


@pytest.fixture
async def open_port(parts: AdminParts, tmp_path: Path) -> AsyncIterator[Callable[..., object]]:
    identity = NodeIdentity(tmp_path / "tls", SystemClock())
    identity.ensure(["localhost"])
    _number, token = await parts.accounts.operators.issue("tests")
    async with contextlib.AsyncExitStack() as stack:

        async def opened(settings: AdminSettings, address: str = "127.0.0.1") -> Port:
            listener = listen(address, 0, section="admin")
            port = Port(int(listener.getsockname()[1]), token)
            await stack.enter_async_context(
                serving(parts, SystemClock(), listener, identity.context, settings)
            )
            stack.callback(port.hang_up)
            return port

        yield opened


OpenPort = Callable[..., "asyncio.Future[Port]"]


async def test_a_caller_over_ipv4_is_logged_so_where_ipv6_is_listened_for(
    open_port: OpenPort, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    port = await open_port(PATIENT, "::")
    caller = await port.call()
    assert (await caller.ask(port.signed()))[0] == 200
    [line] = [vars(one) for one in caplog.records if one.message == "admin_request"]
    assert line["source"] == "127.0.0.1"


async def test_a_caller_behind_a_balancer_is_logged_by_its_own_address(
    open_port: OpenPort, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    port = await open_port(AdminSettings(proxy_protocol_from=("127.0.0.1",)))
    tcp = socket.create_connection(("127.0.0.1", port.number))
    tcp.sendall(b"PROXY TCP4 203.0.113.7 127.0.0.1 1 2\r\n")
    tcp.setblocking(False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    streams = await asyncio.open_connection(sock=tcp, ssl=context, server_hostname="node")
    port.callers.append(Caller(*streams))
    assert (await port.callers[-1].ask(port.signed()))[0] == 200
    [line] = [vars(one) for one in caplog.records if one.message == "admin_request"]
    assert line["source"] == "203.0.113.7"
    # not loopback's, whatever address the balancer has
    assert (await port.callers[-1].ask(b"GET /metrics HTTP/1.1\r\nHost: node\r\n\r\n"))[0] == 401


@pytest.mark.parametrize("kind", STALLED)
async def test_a_silent_client_is_closed_at_every_stage(open_port: OpenPort, kind: str) -> None:
    port = await open_port(QUICK)
    tls, said = STALLED[kind]
    caller = await port.call(tls=tls, said=said)
    begun_s = asyncio.get_running_loop().time()
    assert await caller.ended()
    assert 0.5 < asyncio.get_running_loop().time() - begun_s < 5


async def test_a_client_that_trickles_a_head_is_closed_too(open_port: OpenPort) -> None:
    port = await open_port(QUICK)
    caller = await port.call()
    loop = asyncio.get_running_loop()
    for at in range(len(HEALTH) - 1):
        loop.call_later(at / 10, caller.writer.write, HEALTH[at : at + 1])
    assert await caller.ended()


async def test_a_kept_connection_answers_request_after_request(open_port: OpenPort) -> None:
    caller = await (port := await open_port(PATIENT)).call()
    for _ in range(3):
        assert (await caller.ask(HEALTH))[0] == 200
        assert (await caller.ask(port.signed()))[0] == 200


async def test_an_operator_gets_in_while_unauthenticated_clients_fill_the_port(
    open_port: OpenPort,
) -> None:
    port = await open_port(CROWD)
    known = await port.call()
    assert (await known.ask(port.signed()))[0] == 200
    strangers = [await port.call(tls=tls, said=said) for tls, said in [*STALLED.values()] * 10]
    new = await port.call()
    for caller in (known, new, known):
        assert (await caller.ask(port.signed()))[0] == 200
    assert await strangers[0].ended()


async def test_a_token_counts_for_its_request_only(open_port: OpenPort) -> None:
    port = await open_port(CROWD)
    first = await port.call()
    assert (await first.ask(port.signed()))[0] == 200
    assert (await first.ask(port.nodes()))[0] == 401
    for _ in range(CROWD.unauthenticated_per_source):
        await port.call(tls=False)
    assert await first.ended()


async def test_answers_that_nobody_reads_are_not_kept_for_ever(open_port: OpenPort) -> None:
    port = await open_port(QUICK)
    caller = await port.call()
    caller.reader._limit = 1  # type: ignore[attr-defined]  # makes our own end stop reading
    document = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: node\r\n\r\n"
    caller.writer.write(document * 200)
    await until(lambda: CONNECTIONS._value.get() == 1)
    await until(lambda: CONNECTIONS._value.get() == 0, limit_s=LIMIT_S)


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (HEALTH, 200),
        (HEALTH.replace(b"/healthz", b"/nothing"), 404),
        (HEALTH.replace(b"GET", b"PUT"), 405),
        (HEALTH.replace(b"/healthz", b"/api/v1/nodes"), 401),
        (HEALTH.replace(b"Host: node", b"Host: node\r\nExpect: miracles"), 417),
        (b"no HTTP at all\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * 20_000 + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
    ],
)
async def test_every_answer_has_the_security_headers_for_browsers(
    open_port: OpenPort, asked: bytes, status: int
) -> None:
    caller = await (await open_port(PATIENT)).call()
    answered, headers, body = await caller.ask(asked)
    assert answered == status
    assert {name: headers.get(name.lower()) for name in HEADERS} == HEADERS
    assert headers["strict-transport-security"] == "max-age=31536000"
    assert "aiohttp" not in str(headers)
    if status in {400, 401, 404, 405}:
        assert headers["content-type"] == "application/problem+json"
        assert b"no HTTP at all" not in body
    if status == 400:
        assert await caller.ended()


async def test_a_streamed_answer_has_them_too(open_port: OpenPort) -> None:
    port = await open_port(PATIENT)
    caller = await port.call()
    head = port.signed().replace(b"GET /api/v1/nodes", b"POST /api/v1/images/icewm/versions")
    said = b"Content-Type: application/x-tar\r\nContent-Length: 4\r\n\r\nTAR!"
    answered, headers, _ = await caller.ask(head.removesuffix(b"\r\n") + said)
    assert (answered, headers["content-type"]) == (200, "application/x-ndjson")
    assert {name: headers.get(name.lower()) for name in HEADERS} == HEADERS


async def test_unauthenticated_requests_share_a_few_log_lines(
    open_port: OpenPort, caplog: pytest.LogCaptureFixture
) -> None:
    port, begun_s = await open_port(CROWD), asyncio.get_running_loop().time()
    caplog.set_level(logging.INFO)
    said_by_strangers = (
        HEALTH.replace(b"/healthz", b"/nothing"),
        port.nodes(),
        port.nodes("Authorization: Bearer worth-nothing"),
        b"no HTTP\r\n\r\n",
    )
    for _ in range(15):
        for said in (*said_by_strangers, OPENAPI):
            caller = await port.call()
            await caller.ask(said)
    for _ in range(50):
        await port.call(tls=False)
        await port.call(tls=False, said=b"no TLS at all, which is at least as long as a record")
    await until(lambda: "connection_dropped" in caplog.messages)
    lines_max = 2 + (asyncio.get_running_loop().time() - begun_s) / WINDOW_S
    assert "admin_request" not in caplog.messages
    for event in ("head_refused", "tls_failed", "connection_dropped", "admin_request_refused"):
        assert 1 <= caplog.messages.count(event) <= lines_max, event
    assert "admin_request" not in caplog.messages


async def test_an_expectation_that_is_not_met_is_a_problem_like_others(
    open_port: OpenPort,
) -> None:
    port = await open_port(PATIENT)
    signed = f"Authorization: Bearer {port.token}"
    for head in (
        port.nodes("Expect: foo", signed),
        port.nodes("Expect: foo"),
        HEALTH.replace(b"healthz", b"nowhere").replace(b"\r\n\r\n", b"\r\nExpect: foo\r\n\r\n"),
    ):
        caller = await port.call()
        status, headers, body = await caller.ask(head)
        assert (status, headers["content-type"]) == (417, "application/problem+json")
        assert json.loads(body)["code"] == "expectation_failed"
        assert headers["connection"] == "close"
        assert headers.keys() >= {name.lower() for name in HEADERS}
        assert await caller.ended()
    status, _, _ = await (await port.call()).ask(port.nodes("Expect: 100-continue", signed))
    assert status == 100


async def test_nothing_is_looked_up_for_callers_that_have_left(
    open_port: OpenPort, parts: AdminParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = await open_port(PATIENT)
    store = parts.accounts.api_tokens
    real, asked, may_answer = store.operator, [], asyncio.Event()

    async def slow(token_digest: bytes) -> Operator | None:
        asked.append(token_digest)
        await may_answer.wait()
        return await real(token_digest)

    monkeypatch.setattr(store, "operator", slow)
    callers = [
        await port.call(said=port.nodes(f"Authorization: Bearer rubbish{number}"))
        for number in range(5)
    ]
    await until(lambda: asked)
    for caller in callers:
        caller.writer.transport.abort()
    await until(lambda: CONNECTIONS._value.get() == 0)
    may_answer.set()
    assert (await (await port.call()).ask(port.signed()))[0] == 200
    assert len(asked) == 2


async def test_nothing_is_unpacked(open_port: OpenPort) -> None:
    port = await open_port(PATIENT)
    head = (
        b"POST /api/v1/tenants HTTP/1.1\r\nHost: node\r\nContent-Type: application/json\r\n"
        b"Content-Encoding: gzip\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n"
    )
    body = gzip.compress(b"{}")
    for token, status in ((port.token, 415), ("wrong", 401)):
        caller = await port.call()
        said = await caller.ask(head % (token.encode(), len(body)) + body)
        assert said[0] == status


async def test_a_client_that_leaves_during_the_handshake_is_no_fault(
    open_port: OpenPort, caplog: pytest.LogCaptureFixture
) -> None:
    port = await open_port(PATIENT)
    for _ in range(30):
        await asyncio.to_thread(port.leave_at_once)
    assert (await (await port.call()).ask(HEALTH))[0] == 200
    gc.collect()  # a task that failed is told of when it goes
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
