"""A small QVD server on loopback: TLS, canned answers, and after 101 whatever the test does."""

import asyncio
import contextlib
import datetime
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

Stream = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class FakeQvdServer:
    """Answers by path; remembers the heads it was sent."""

    port: int = 0
    answers: dict[str, bytes] = field(default_factory=dict)
    """Raw bytes to answer with, by path without query."""
    heads: list[str] = field(default_factory=list)
    connections: int = 0
    ended: int = 0
    stream: Stream | None = None
    """What to do with a connection whose answer was a 101."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heads.append(head)
                path = head.split(" ")[1].split("?")[0]
                answer = self.answers.get(path, b"HTTP/1.1 404 Not Found\r\n\r\n")
                writer.write(answer)
                await writer.drain()
                if b"HTTP/1.1 101" in answer and self.stream is not None:
                    await self.stream(reader, writer)
                    break
        writer.close()
        self.ended += 1


def answer(status: int, body: bytes = b"", *, reason: str = "X") -> bytes:
    """A final answer."""
    return f"HTTP/1.1 {status} {reason}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def context_for_tests(folder: Path) -> ssl.SSLContext:
    """A server context with a certificate made for this test."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=36_500))
        .sign(key, hashes.SHA256())
    )
    pem = folder / f"fake-{certificate.serial_number}.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(secret + certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


@contextlib.asynccontextmanager
async def fake_qvd_server(
    folder: Path, port: int = 0, context: ssl.SSLContext | None = None
) -> AsyncIterator[FakeQvdServer]:
    """A server that listens on loopback until the scope ends."""
    fake = FakeQvdServer()
    server = await asyncio.start_server(
        fake.serve, "127.0.0.1", port, ssl=context or context_for_tests(folder)
    )
    fake.port = server.sockets[0].getsockname()[1]
    try:
        yield fake
    finally:
        server.close()
