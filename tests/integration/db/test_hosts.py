"""Several hosts: the one that takes writes is found whatever the others do."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest

from qvdnode.db.hosts import Hosts, server_facts
from qvdnode.db.raw import RawConnection
from qvdnode.db.settings import DatabaseSettings
from qvdnode.model.errors import Unavailable
from tests.fixtures_postgres import PostgresServer

pytestmark = pytest.mark.postgres

TLS_WANTED = (80877103).to_bytes(4)
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def message(reader: asyncio.StreamReader) -> bytes:
    """One message of a client that is not logged in yet."""
    size = int.from_bytes(await reader.readexactly(4))
    return await reader.readexactly(size - 4)


def refusing(code: str) -> Serve:
    """A server that answers the first message with an error."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await message(reader) == TLS_WANTED:
            writer.write(b"N")
            await message(reader)
        fields = f"SFATAL\0VFATAL\0C{code}\0Mno\0\0".encode()
        writer.write(b"E" + (len(fields) + 4).to_bytes(4) + fields)
        writer.close()

    return serve


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A host that a firewall swallows: the connection stands, and nothing ever comes."""
    await reader.read()


@asynccontextmanager
async def host(serve: Serve) -> AsyncIterator[str]:
    """The DSN of a fake host."""
    writers: list[asyncio.StreamWriter] = []

    async def remembered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await serve(reader, writer)

    server = await asyncio.start_server(remembered, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"postgresql://u@127.0.0.1:{port}/d"
    for writer in writers:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def hosts(*dsns: str, connect_limit_s: float = 10.0) -> Hosts:
    return Hosts(dsns, connect_limit_s=connect_limit_s, statement_limit_s=30)


async def closed(connection: RawConnection) -> None:
    await connection.close()


@pytest.mark.parametrize("code", ["53300", "57P01", "57P03", "28P01"])
async def test_a_host_that_refuses_is_passed_over(code: str, postgres_dsn: str) -> None:
    async with host(refusing(code)) as first:
        await closed(await hosts(first, postgres_dsn).connect())


async def test_a_host_that_is_not_there_is_passed_over(postgres_dsn: str) -> None:
    await closed(await hosts("postgresql://u@127.0.0.1:1/d", postgres_dsn).connect())


@pytest.mark.alone
async def test_a_black_holed_host_costs_its_own_limit_only_and_only_once(
    postgres_dsn: str,
) -> None:
    async with host(silent) as first:
        several = hosts(first, postgres_dsn, connect_limit_s=1.0)
        began = time.perf_counter()
        await closed(await several.connect())
        assert time.perf_counter() - began >= 1.0
        began = time.perf_counter()
        await closed(await several.connect())
        assert time.perf_counter() - began < 1.0


async def test_who_gives_up_during_a_black_hole_begins_elsewhere_next_time(
    postgres_dsn: str,
) -> None:
    async with host(silent) as first:
        several = hosts(first, postgres_dsn)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await several.connect()
        async with asyncio.timeout(8):  # the first one has ten seconds
            await closed(await several.connect())


async def test_a_standby_is_passed_over(postgres_server: PostgresServer, postgres_dsn: str) -> None:
    name = f"test_{secrets.token_hex(4)}"
    maintenance = await asyncpg.connect(postgres_server.maintenance_dsn)
    await maintenance.execute(f"CREATE DATABASE {name}")
    await maintenance.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    standby = postgres_server.dsn.replace("/qvdnode?", f"/{name}?")
    found = await hosts(standby, postgres_dsn).connect()
    assert await found.fetchval("SELECT current_database()") != name
    await found.close()
    await maintenance.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await maintenance.close()


async def test_when_none_answers_each_is_named() -> None:
    dead = "postgresql://u:secret@127.0.0.1:1/d"
    async with host(silent) as mute:
        with pytest.raises(Unavailable) as caught:
            await hosts(dead, mute).connect()
    reasons = str(caught.value.__cause__)
    assert "127.0.0.1:1" in reasons
    assert "TimeoutError" in reasons
    assert "secret" not in reasons


async def test_a_superuser_is_known_by_the_greeting(
    postgres_server: PostgresServer, postgres_dsn: str
) -> None:
    assert not (await server_facts(DatabaseSettings(dsn=postgres_dsn))).superuser
    found = await server_facts(DatabaseSettings(dsn=postgres_server.maintenance_dsn))
    assert found.superuser
    assert int(found.version.partition(".")[0]) >= 15
