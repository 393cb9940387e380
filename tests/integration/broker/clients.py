"""An endpoint on loopback over fake desktops, a display behind it, and raw clients in front."""

import asyncio
import base64
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from qvdnode.broker.endpoint import Endpoint
from qvdnode.broker.settings import BrokerSettings
from qvdnode.model.seat import DisplayAddress
from qvdnode.proxy.guest_end import DisplayDialer
from qvdnode.proxy.ports import GuestDialer
from qvdnode.proxy.settings import RelaySettings
from qvdnode.runtime.clock import SystemClock
from tests.fakes.desktops import FakeAuthenticator, FakeDesktops, vm
from tests.fakes.qvd_server import context_for_tests

GREETING = b"NXPROXY-3.5.0-3.5.99 stream=default,data=default "
LIMIT_S = 10.0


def request(target: str, *headers: str, password: str = "secret") -> bytes:
    """A request of Alice's."""
    login = base64.b64encode(f"alice@acme:{password}".encode()).decode()
    lines = [f"GET /qvd/{target} HTTP/1.1", f"Authorization: Basic {login}", *headers]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


CONNECT = request("connect_to_vm?id=1", "Connection: Upgrade", "Upgrade: QVD/1.0")


@dataclass
class Client:
    """One TLS connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def say(self, data: bytes) -> None:
        """Send."""
        self.writer.write(data)

    async def head(self) -> bytes:
        """The next head."""
        async with asyncio.timeout(LIMIT_S):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def answer(self, data: bytes = b"") -> tuple[int, bytes]:
        """Send, then status and body of the next final answer."""
        self.say(data)
        while True:
            head = await self.head()
            status = int(head.split(b" ")[1])
            if status != 102:
                break
        length = [line for line in head.split(b"\r\n") if line.startswith(b"Content-Length: ")]
        body = await self.reader.readexactly(int(length[0][16:])) if length else b""
        return status, body

    async def upgraded(self) -> None:
        """Connect to VM 1 and greet."""
        status, _ = await self.answer(CONNECT)
        assert status == 101
        self.say(GREETING)

    async def ended(self) -> bytes:
        """What still comes until the node closes the connection."""
        async with asyncio.timeout(LIMIT_S):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    def vanish(self) -> None:
        """Be gone without a word."""
        self.writer.transport.abort()


@dataclass
class Display:
    """What listens where a guest's display would."""

    port: int = 0
    streams: "asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]" = field(
        default_factory=asyncio.Queue
    )
    dialled: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Keep the connection for the test."""
        self.dialled += 1
        self.writers.append(writer)
        self.streams.put_nowait((reader, writer))

    async def next(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The next connection, greeted."""
        async with asyncio.timeout(LIMIT_S):
            reader, writer = await self.streams.get()
            assert await reader.readexactly(len(GREETING)) == GREETING
        return reader, writer


@dataclass
class Place:
    """All of it."""

    folder: Path
    port: int
    desktops: FakeDesktops
    authenticator: FakeAuthenticator
    display: Display
    serving: asyncio.Task[None]
    endpoint: Endpoint
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def client(self, tcp: socket.socket | None = None) -> Client:
        """A client that has shaken hands, on a connection of the test's if it has one."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        async with asyncio.timeout(LIMIT_S):
            if tcp is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context)
            else:
                reader, writer = await asyncio.open_connection(
                    sock=tcp, ssl=context, server_hostname="node"
                )
        self.writers.append(writer)
        return Client(reader, writer)

    async def half_open(self) -> asyncio.StreamWriter:
        """A connection that never begins TLS."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        return writer


@contextlib.asynccontextmanager
async def place(
    folder: Path,
    settings: BrokerSettings | None = None,
    *,
    guests_stay: bool = True,
    address: str = "127.0.0.1",
    dialer: GuestDialer | None = None,
) -> AsyncIterator[Place]:
    """An endpoint that serves until the end of the scope, or until `serving` is cancelled.

    `dialer` connects to displays in place of the node's own.
    """
    display = Display()
    server = await asyncio.start_server(display.accept, "127.0.0.1", 0)
    display.port = server.sockets[0].getsockname()[1]
    desktops = FakeDesktops(
        address=DisplayAddress("127.0.0.1", display.port), vms={1: vm(1), 2: vm(2, user=2)}
    )
    authenticator = FakeAuthenticator()
    chosen = replace(settings or quick(), address=address, port=0)
    context = context_for_tests(folder)
    endpoint = Endpoint(
        desktops,
        authenticator,
        lambda: context,
        SystemClock(),
        chosen,
        dialer or DisplayDialer(chosen.relay),
    )
    port = endpoint.listen()
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(endpoint.run(guests_stay=guests_stay))
        made = Place(folder, port, desktops, authenticator, display, serving, endpoint)
        try:
            yield made
        finally:
            for writer in [*made.writers, *display.writers]:
                writer.transport.abort()
            serving.cancel()
            server.close()


def quick() -> BrokerSettings:
    """Limits that a test can wait for."""
    return BrokerSettings(
        head_limit_s=1.0,
        idle_limit_s=1.0,
        farewell_limit_s=0.5,
        relay=RelaySettings(greeting_limit_s=0.5, dial_limit_s=0.5, rest_limit_s=0.5),
    )


def patient() -> BrokerSettings:
    """Limits that no test reaches."""
    return BrokerSettings()


async def got_close_notify(client: Client) -> bool:
    """Whether the connection ends with TLS's goodbye; without one, the link seems lost."""
    await client.ended()
    tls: ssl.SSLObject = client.writer.get_extra_info("ssl_object")
    try:
        return tls.read(1) == b""
    except ssl.SSLZeroReturnError:  # the goodbye has been read already
        return True
    except ssl.SSLError:
        return False
