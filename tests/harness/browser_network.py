"""A network namespace for a browser, from which it reaches what listens on this host's 127.0.0.1.

Chromium breaks its connections off whenever a network interface appears where it runs, and other
tests make interfaces on the host all the time. In a namespace of its own it sees none of them. Its
connections leave through a SOCKS5 server (RFC 1928) whose listening socket is in the namespace
while the server itself is in this process, on the host.
"""

import asyncio
import contextlib
import socket
import struct
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from qvdnode.host.network_namespaces import NetworkNamespace, new_namespace
from qvdnode.host.own_thread import in_own_thread

LOCAL: Final = "127.0.0.1"
READ_BYTES: Final = 64 * 1024
SOCKS: Final = 5
NO_PROOF: Final = bytes([SOCKS, 0])
REQUEST_HEAD: Final = bytes([SOCKS, 1, 0])
CONNECTED: Final = bytes([SOCKS, 0, 0, 1, 0, 0, 0, 0, 0, 0])
REFUSED: Final = bytes([SOCKS, 5, 0, 1, 0, 0, 0, 0, 0, 0])
NAME: Final = 3
# Without an interface beside the loopback, a browser takes itself to be offline. No IPv6 addresses:
# the kernel checks them for two seconds, and then the network has changed once more.
LINKS: Final = """link set lo up
link add net0 type veth peer name net1
link set net0 addrgenmode none
link set net1 addrgenmode none
addr add 192.0.2.10/24 dev net0
link set net1 up
link set net0 up
"""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class BrowserNetwork:
    """The namespace, and the ways in and out of it."""

    def __init__(self, namespace: NetworkNamespace, servers: contextlib.AsyncExitStack) -> None:
        self._namespace = namespace
        self._servers = servers
        self.proxy_port = 0

    def command(self, *words: str) -> list[str]:
        """A command that runs in the namespace; `descriptors` must be passed on to it."""
        return ["nsenter", f"--net=/proc/self/fd/{self._namespace.descriptor}", *words]

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The open files that the command needs."""
        return (self._namespace.descriptor,)

    async def open_ways_out(self) -> None:
        """Let programs in the namespace connect to this host, through `proxy_port`."""
        await in_own_thread(self._make_links, name="browser-links")
        listening = await self._socket()
        listening.bind((LOCAL, 0))
        self.proxy_port = listening.getsockname()[1]
        await self._serve(listening, outside)

    def _make_links(self) -> None:
        command = self.command("ip", "-batch", "-")
        subprocess.run(command, input=LINKS, text=True, check=True, pass_fds=self.descriptors)

    async def way_in(self, port: int) -> int:
        """A port on this host that leads to a port of the namespace's 127.0.0.1."""

        async def dial(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> Streams:
            made = await self._socket()
            await asyncio.get_running_loop().sock_connect(made, (LOCAL, port))
            return await asyncio.open_connection(sock=made)

        listening = socket.socket()
        listening.bind((LOCAL, 0))
        await self._serve(listening, dial)
        return int(listening.getsockname()[1])

    async def _socket(self) -> socket.socket:
        """A new TCP socket in the namespace: a socket stays where it was made."""

        def make() -> socket.socket:
            self._namespace.enter()
            return socket.socket()

        made = await in_own_thread(make, name="browser-socket")
        made.setblocking(False)
        return made

    async def _serve(
        self,
        listening: socket.socket,
        dial: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[Streams]],
    ) -> None:
        """Pass on both directions of each connection to where `dial` says."""

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with (
                contextlib.suppress(OSError, asyncio.IncompleteReadError),
                contextlib.closing(writer),
            ):
                far_reader, far_writer = await dial(reader, writer)
                with contextlib.closing(far_writer):
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(copy(reader, far_writer))
                        tasks.create_task(copy(far_reader, writer))

        server = await asyncio.start_server(relay, sock=listening)
        self._servers.callback(server.close)


async def outside(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Streams:
    """Do a SOCKS5 client's greeting and request, and dial what it asks for."""
    _, methods = await reader.readexactly(2)
    await reader.readexactly(methods)
    writer.write(NO_PROOF)
    head = await reader.readexactly(4)
    if head != REQUEST_HEAD + bytes([NAME]):  # Chromium writes an address as a name, too
        writer.write(REFUSED)
        raise ConnectionRefusedError(f"not a connection to a name: {head!r}")
    (length,) = await reader.readexactly(1)
    host = (await reader.readexactly(length)).decode()
    (port,) = struct.unpack("!H", await reader.readexactly(2))
    try:
        streams = await asyncio.open_connection(host, port)
    except OSError:
        writer.write(REFUSED)
        raise
    writer.write(CONNECTED)
    return streams


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes until the end of it; then end the other direction's writer too."""
    try:
        while part := await reader.read(READ_BYTES):
            writer.write(part)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()


@contextlib.asynccontextmanager
async def browser_network() -> AsyncIterator[BrowserNetwork]:
    """A namespace with a way out; all of it ends with the context."""
    async with contextlib.AsyncExitStack() as servers:
        namespace = await new_namespace()
        servers.callback(namespace.close)
        network = BrowserNetwork(namespace, servers)
        await network.open_ways_out()
        yield network
