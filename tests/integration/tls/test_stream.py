"""What a TLS stream hands to its transport, and when; in memory, without sockets."""

import asyncio
import ssl
from pathlib import Path

from qvdnode.runtime.tick_batch import TickBatch
from qvdnode.tls.client_stream import ClientStream
from qvdnode.tls.server_stream import ServerStream
from qvdnode.tls.stream import DUE_MAX_BYTES, TlsStream
from tests.fakes.qvd_server import context_for_tests
from tests.integration.tls.echo import Echo

MUCH = bytes(64 * 1024)


class Wire(asyncio.Transport):
    """Keeps what is written until the test passes it on."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = b""
        self.passed = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        self.kept += data

    def get_write_buffer_size(self) -> int:
        """What nobody has taken yet."""
        return len(self.kept)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Take all."""

    def take(self) -> bytes:
        """What was written since."""
        taken, self.kept = self.kept, b""
        return taken


def silent() -> Echo:
    """An owner that nobody says anything to."""
    return Echo(lambda _echo: None)


def pair(folder: Path) -> tuple[TlsStream, Wire]:
    """The server's end of a connection whose handshake is done, and its transport."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    batch = TickBatch()
    server = ServerStream(context_for_tests(folder), batch, silent())
    client = ClientStream(trusting, batch, silent())
    at_server, at_client = Wire(), Wire()
    server.connection_made(at_server)
    client.connection_made(at_client)
    while at_client.kept or at_server.kept:
        server.data_received(at_client.take())
        client.data_received(at_server.take())
    return server, at_server


async def test_what_is_written_soon_waits_for_the_end_of_the_iteration(tmp_path: Path) -> None:
    server, wire = pair(tmp_path)
    server.write_soon(b"a little")
    assert wire.kept == b""
    await asyncio.sleep(0)
    assert wire.kept != b""


async def test_much_of_one_iteration_does_not_wait_for_its_end(tmp_path: Path) -> None:
    server, wire = pair(tmp_path)
    for _ in range(2 * DUE_MAX_BYTES // len(MUCH)):
        server.write_soon(MUCH)
    assert wire.get_write_buffer_size() > DUE_MAX_BYTES
    waiting = server.waiting_bytes()
    await asyncio.sleep(0)
    assert wire.get_write_buffer_size() == waiting
