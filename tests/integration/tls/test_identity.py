"""The certificate over real connections: a reload drops nobody."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from qvdnode.runtime.clock import SystemClock
from qvdnode.tls.host_names import host_names
from qvdnode.tls.identity import NodeIdentity
from qvdnode.tls.pin import fingerprint_of
from tests.integration.tls.echo import echoing


@pytest.fixture
def identity(tmp_path: Path) -> NodeIdentity:
    made = NodeIdentity(tmp_path, SystemClock())
    made.ensure(*host_names(["desk.example"]))
    return made


@pytest.fixture
async def port(identity: NodeIdentity) -> AsyncIterator[int]:
    async with echoing(identity.context) as server:
        yield server


class Client:
    """One TLS connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def fingerprint(self) -> str:
        der = self._writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return fingerprint_of(der)

    async def echo(self, words: bytes) -> bytes:
        self._writer.write(words)
        return await self._reader.readline()

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


async def dial(port: int, context: ssl.SSLContext, name: str = "localhost") -> Client:
    return Client(
        *await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    )


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


async def test_a_reload_drops_nobody(identity: NodeIdentity, port: int, tmp_path: Path) -> None:
    old = await dial(port, trusting(tmp_path / "node.crt"))
    before = identity.fingerprint()
    (tmp_path / "node.crt").unlink()
    identity.ensure(["localhost"])
    new = await dial(port, trusting(tmp_path / "node.crt"))
    assert old.fingerprint() == before
    assert new.fingerprint() == identity.fingerprint() != before
    assert await old.echo(b"still here\n") == b"still here\n"
    await old.close()
    await new.close()


@pytest.mark.parametrize("name", ["desk.example", "localhost", "127.0.0.1"])
async def test_the_host_is_called_by_any_of_its_names(port: int, tmp_path: Path, name: str) -> None:
    client = await dial(port, trusting(tmp_path / "node.crt"), name)
    assert await client.echo(b"hello\n") == b"hello\n"
    await client.close()


async def test_another_name_is_refused_by_the_client(port: int, tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"):
        await dial(port, trusting(tmp_path / "node.crt"), "other.example")
