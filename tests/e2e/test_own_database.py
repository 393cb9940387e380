"""A node on a database of one's own: several hosts in the DSN, and for a while none at all."""

import asyncio
import contextlib
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from qvdnode.db.embedded import EmbeddedPostgres
from qvdnode.db.settings import DatabaseSettings
from qvdnode.runtime.clock import SystemClock
from tests.e2e.conftest import Screen
from tests.e2e.guest_processes import guest_pids
from tests.e2e.test_desktop import viewing
from tests.fixtures_postgres import PostgresServer, fresh_database, state_folder
from tests.harness.farm import furnish, until_vm
from tests.harness.node import running_node
from tests.harness.node import test_root as state_root
from tests.harness.rest import Refused, Rest
from tests.waiting import until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.postgres]


def behind_dead_hosts(dsn: str, black_hole: int) -> str:
    """The same server as the last of three: one refuses, one takes the connection and is silent."""
    begin, _, folder = dsn.partition("?host=")
    return f"{begin}?host=127.0.0.1,127.0.0.1,{folder}&port=1,{black_hole},5432"


async def test_dead_hosts_in_the_dsn_keep_no_node_from_serving(
    postgres_server: PostgresServer,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        async with (
            fresh_database(postgres_server) as dsn,
            running_node(state_root(), database={"dsn": behind_dead_hosts(dsn, port)}) as node,
            node.rest() as rest,
        ):
            assert await rest.status("/readyz") == 200
            assert (await rest.post("/tenants", {"name": "acme"}))["name"] == "acme"
            assert not (node.state_dir / "pg").exists(), "the embedded one was made all the same"


@contextlib.asynccontextmanager
async def own_server() -> AsyncIterator[EmbeddedPostgres]:
    """A server that the test may stop and start; the node knows only its DSN."""
    folder = state_folder()
    server = EmbeddedPostgres(DatabaseSettings(state_dir=folder), SystemClock())
    try:
        yield server
    finally:
        await server.stop()
        shutil.rmtree(folder)


async def ready(rest: Rest) -> bool:
    """Whether the node can start desktops."""
    return await rest.status("/readyz") == 200


async def test_a_node_that_starts_without_its_database_adopts_and_joins_later(
    icewm_root: Path, screen: Screen, tmp_path: Path
) -> None:
    async with own_server() as server:
        dsn = await server.start()
        async with running_node(state_root(), database={"dsn": dsn}) as node:
            (desk,) = await furnish(node, icewm_root, users=1)
            async with viewing(desk, screen, tmp_path / "before"):
                first = guest_pids(desk)[0]
            await node.sigkill()
            await server.stop()
            try:
                await node.start()
                async with node.rest() as rest, desk.dial() as connection:
                    refused = await connection.ask("/qvd/list_of_vm")
                    assert refused.status == 503
                    assert b"database" in refused.body.lower()
                    assert await rest.status("/readyz") == 503
            finally:
                await server.start()
            async with node.rest() as rest:
                await until(lambda: ready(rest), limit_s=30, what="the node to join")
                async with viewing(desk, screen, tmp_path / "after"):
                    view = await until_vm(rest, desk.vm_id, state="running", display="connected")
                    assert view["generation"] == 1
            assert guest_pids(desk)[0] == first


class Way:
    """A host of the DSN: passes on to the one server until it is cut."""

    def __init__(self, folder: Path, server: Path) -> None:
        self.used = 0
        self._folder = folder
        self._server = server
        self._writers: list[asyncio.StreamWriter] = []
        self._listening: asyncio.Server | None = None

    async def open(self) -> None:
        self._listening = await asyncio.start_unix_server(
            self._serve, self._folder / ".s.PGSQL.5432"
        )

    def cut(self) -> None:
        if self._listening is not None:
            self._listening.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.used += 1
        up, down = await asyncio.open_unix_connection(self._server)
        self._writers += [writer, down]
        await asyncio.gather(_pump(reader, down), _pump(up, writer), return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()


@contextlib.contextmanager
def two_folders() -> Iterator[tuple[Path, Path]]:
    """Paths short enough for sockets."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        yield Path(one), Path(two)


async def test_a_node_that_serves_goes_on_by_the_other_host(
    postgres_server: PostgresServer,
) -> None:
    with two_folders() as folders:
        async with fresh_database(postgres_server) as dsn:
            begin = dsn.partition("?host=")[0]
            server = Path(parse_qs(urlsplit(dsn).query)["host"][0]) / ".s.PGSQL.5432"
            ways = [Way(folder, server) for folder in folders]
            for way in ways:
                await way.open()
            hosts = ",".join(map(str, folders))
            both = f"{begin}?host={hosts}&port=5432,5432"
            try:
                async with running_node(state_root(), database={"dsn": both}) as node:
                    (first,) = [way for way in ways if way.used]
                    async with node.rest() as rest:
                        first.cut()
                        await until(lambda: changed(rest), limit_s=30, what="the other host")
                        assert await ready(rest)
                        assert (await rest.get("/tenants?name=acme"))["items"]
                    assert all(way.used for way in ways)
                    # it stops, and a restore need not wait for the end of its lease
                    assert await node.stop() == 0
                    assert await places(dsn) == [("up", True)]
            finally:
                for way in ways:
                    way.cut()


async def places(dsn: str) -> list[tuple[str, bool]]:
    """The state of each node, and whether its lease is over."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("SELECT state, lease_until <= clock_timestamp() FROM node")
    finally:
        await connection.close()
    return [(row[0], row[1]) for row in rows]


async def changed(rest: Rest) -> bool:
    """Whether something can be written."""
    try:
        await rest.post("/tenants", {"name": "acme"})
    except Refused as refused:
        return refused.status == 409  # an attempt before this one got through
    return True
