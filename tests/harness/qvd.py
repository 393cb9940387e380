"""A QVD client for tests and load: the wire by hand, nxproxy for the picture.

It shares no code with qvdnode, so that a mistake made on both sides cannot hide.
"""

import asyncio
import base64
import contextlib
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

LIMIT_S: Final = 120.0
PIECE: Final = 65_536
LOOPBACK: Final = "127.0.0.1"


@dataclass
class Answer:
    """A final answer, with the progress sentences that came before it."""

    status: int
    headers: dict[str, str]
    body: bytes
    progress: list[str] = field(default_factory=list)


def insecure_tls() -> ssl.SSLContext:
    """TLS without checking the certificate: the server is a child of this test."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class QvdConnection:
    """One TLS connection to a node's client port, from an address of one's choice."""

    def __init__(
        self, port: int, login: str, password: str, *, source: str = "", host: str = LOOPBACK
    ) -> None:
        self._port = port
        self._host = host
        self._source = source
        self.authorization = ""
        self.log_in_as(login, password)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._gone = False

    async def __aenter__(self) -> Self:
        """Dial."""
        source = (self._source, 0) if self._source else None
        self._reader, self._writer = await asyncio.open_connection(
            self._host, self._port, ssl=insecure_tls(), local_addr=source
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Hang up."""
        self.abort()

    def abort(self) -> None:
        """Drop the connection at once, as a vanished client does."""
        if self._writer is not None and not self._gone:
            self._gone = True
            if not self._writer.is_closing():
                self._writer.transport.abort()

    def log_in_as(self, login: str, password: str) -> None:
        """What the next request says."""
        word = base64.b64encode(f"{login}:{password}".encode()).decode()
        self.authorization = f"Basic {word}"

    @property
    def streams(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The raw connection."""
        assert self._reader is not None
        assert self._writer is not None
        return self._reader, self._writer

    async def ask(self, target: str, *extra: str) -> Answer:
        """One GET, up to its final answer."""
        reader, writer = self.streams
        lines = "".join(f"{line}\r\n" for line in (f"Authorization: {self.authorization}", *extra))
        writer.write(f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode())
        progress: list[str] = []
        async with asyncio.timeout(LIMIT_S):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *rest = head.removesuffix("\r\n\r\n").split("\r\n")
                headers = dict(line.split(": ", 1) for line in rest)
                status = int(first.split(" ", 2)[1])
                if status != 102:
                    break
                progress.append(headers.get("X-QVD-VM-Info", ""))
            length = int(headers.get("Content-Length", "0"))
            body = await reader.readexactly(length) if length else b""
        return Answer(status, headers, body, progress)

    async def connect(self, vm_id: int, **params: str) -> Answer:
        """Ask for a VM's display; after status 101 the streams carry NX."""
        query = "".join(f"&qvd.client.{key}={value}" for key, value in params.items())
        return await self.ask(
            f"/qvd/connect_to_vm?id={vm_id}{query}", "Connection: Upgrade", "Upgrade: QVD/1.0"
        )


class Viewer:
    """nxproxy showing an upgraded connection on an X display."""

    def __init__(self, connection: QvdConnection, display: str, folder: Path) -> None:
        self._connection = connection
        self._display = display
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self._server: asyncio.Server | None = None
        self._pumps: list[asyncio.Task[None]] = []
        self._local: asyncio.StreamWriter | None = None
        self.over = asyncio.Event()
        self.received = 0
        """Bytes that came from the node."""

    async def __aenter__(self) -> Self:
        """Start nxproxy; the window follows."""
        self._server = await asyncio.start_server(self._arrived, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self._folder.mkdir(parents=True, exist_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            "prlimit",
            "--core=0",
            "nxproxy",
            "-S",
            f"nx/nx,connect=127.0.0.1,port={port},link=lan:{port}",
            env={
                **os.environ,
                "DISPLAY": self._display,
                "NX_CLIENT": "/bin/false",
                "HOME": str(self._folder),
            },
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End nxproxy and the connection."""
        await self.close()

    async def close(self) -> None:
        """End nxproxy and the connection."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        self._connection.abort()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        if self._local is not None:
            self._local.transport.abort()
        if self._server is not None:
            self._server.close()

    async def _arrived(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._local = writer
        far_reader, far_writer = self._connection.streams
        self._pumps = [
            asyncio.create_task(self._pump(reader, far_writer)),
            asyncio.create_task(self._pump(far_reader, writer)),
        ]

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            while piece := await source.read(PIECE):
                if sink is self._local:
                    self.received += len(piece)
                sink.write(piece)
                await sink.drain()
        self.over.set()
        sink.close()
