"""A node uses the PostgreSQL of another one over the peer link."""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from qvdnode.db.pool import Database
from qvdnode.db.settings import DatabaseSettings
from qvdnode.model.errors import Unavailable
from qvdnode.model.ids import NodeId
from qvdnode.peer.database_tunnel import CONNECTIONS_PER_NODE, DatabaseService, DatabaseTunnel
from qvdnode.peer.listener import Services
from qvdnode.peer.ports import Purpose
from qvdnode.runtime.clock import SystemClock
from qvdnode.runtime.supervise import Supervisor
from tests.integration.peer.conftest import MakeNode
from tests.integration.peer.peer_farm import PeerNode

pytestmark = pytest.mark.postgres

ROW_BYTES = 8_000_000


@asynccontextmanager
async def tunnel_from(node: PeerNode, there: NodeId) -> AsyncIterator[DatabaseTunnel]:
    """The node's way to that node's database."""
    tunnel = DatabaseTunnel(node.folder, os.getpid(), node.dialer, there)
    async with Supervisor("tunnel") as tasks:
        await tunnel.open(tasks)
        try:
            yield tunnel
        finally:
            tunnel.close()


@pytest.fixture
async def lender(make_node: MakeNode, postgres_dsn: str) -> AsyncIterator[PeerNode]:
    """The node that runs the database."""
    node = make_node("lender")
    await node.enter()
    folder = parse_qs(urlsplit(postgres_dsn).query)["host"][0]
    service = DatabaseService(Path(folder) / ".s.PGSQL.5432")
    async with Supervisor("lender") as tasks:
        others = {Purpose.DATABASE: service}
        _ = tasks.essential("port", node.listener.run(Services(node.admission, others)))
        yield node


@pytest.fixture
async def borrower(lender: PeerNode, make_node: MakeNode) -> PeerNode:
    """A node without a database of its own."""
    node = make_node("borrower")
    await node.invited_by(lender)
    await node.enter()
    await lender.directory.refresh()
    return node


def through(tunnel: DatabaseTunnel, dsn: str) -> str:
    """The same database by the tunnel's socket."""
    folder = parse_qs(urlsplit(dsn).query)["host"][0]
    return dsn.replace(folder.replace("/", "%2F"), str(tunnel.folder)).replace(
        folder, str(tunnel.folder)
    )


async def opened(dsn: str) -> Database:
    """A pool of connections."""
    return await Database.open(dsn, DatabaseSettings(), SystemClock(), random.Random(1))


async def test_statements_go_through_whatever_their_size(
    lender: PeerNode, borrower: PeerNode, postgres_dsn: str
) -> None:
    async with tunnel_from(borrower, lender.seat.node_id) as tunnel:
        database = await opened(through(tunnel, postgres_dsn))
        assert database.available
        assert await database.fetchval("SELECT count(*) FROM node") == 2
        big = "x" * ROW_BYTES
        assert await database.fetchval("SELECT length($1::text)", big) == ROW_BYTES
        assert await database.fetchval(f"SELECT repeat('x', {ROW_BYTES})") == big
        several = [database.fetchval("SELECT pg_sleep(0.1)") for _ in range(5)]
        await asyncio.gather(*several)
        await database.close()
    assert not tunnel.folder.exists()


async def test_only_root_can_use_the_socket(lender: PeerNode, borrower: PeerNode) -> None:
    async with tunnel_from(borrower, lender.seat.node_id) as tunnel:
        assert tunnel.folder.stat().st_mode & 0o777 == 0o700
        assert tunnel.folder.parent.stat().st_mode & 0o777 == 0o700


async def test_a_lender_that_is_gone_is_a_database_that_is_away(
    lender: PeerNode, borrower: PeerNode, postgres_dsn: str
) -> None:
    async with tunnel_from(borrower, NodeId(77)) as tunnel:
        database = await opened(through(tunnel, postgres_dsn))
        assert not database.available
        with pytest.raises(Unavailable):
            await database.fetchval("SELECT 1")
        await database.close()


async def test_a_node_gets_no_more_connections_than_it_can_use(
    lender: PeerNode, borrower: PeerNode
) -> None:
    async with tunnel_from(borrower, lender.seat.node_id) as tunnel:
        socket = tunnel.folder / ".s.PGSQL.5432"
        open_ones = [
            await asyncio.open_unix_connection(socket) for _ in range(CONNECTIONS_PER_NODE)
        ]
        for reader, writer in open_ones:
            writer.write((8).to_bytes(4, "big") + (80_877_103).to_bytes(4, "big"))  # SSLRequest
            assert await reader.readexactly(1) == b"N"
        reader, writer = await asyncio.open_unix_connection(socket)
        async with asyncio.timeout(30):
            assert await reader.read(1) == b""
        for _, each in [*open_ones, (reader, writer)]:
            each.close()


async def test_what_a_killed_process_left_is_removed(lender: PeerNode, borrower: PeerNode) -> None:
    async with tunnel_from(borrower, lender.seat.node_id) as tunnel:
        left = tunnel.folder.parent / "99999999"
        left.mkdir()
        other = DatabaseTunnel(borrower.folder, 1, borrower.dialer, lender.seat.node_id)
        async with Supervisor("other") as tasks:
            await other.open(tasks)
            assert not left.exists()
            assert tunnel.folder.exists()
            other.close()
