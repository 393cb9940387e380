"""The schema, brought up to date."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator

import asyncpg
import pytest

from qvdnode.db.migrate import make_version_table, migrate, steps
from qvdnode.db.pool import Database
from qvdnode.db.server_config import ROLE
from qvdnode.db.settings import DatabaseSettings
from qvdnode.model.errors import BadConfig
from qvdnode.runtime.clock import SystemClock
from tests.fixtures_postgres import PostgresServer

pytestmark = pytest.mark.postgres


@pytest.fixture
async def two_nodes(postgres_server: PostgresServer) -> AsyncIterator[tuple[Database, Database]]:
    """Two nodes on one database that has nothing in it."""
    name = f"test_{secrets.token_hex(4)}"
    maintenance = await asyncpg.connect(postgres_server.maintenance_dsn)
    await maintenance.execute(f"CREATE DATABASE {name} OWNER {ROLE}")
    dsn = postgres_server.dsn.replace("/qvdnode?", f"/{name}?")
    nodes = [
        await Database.open(dsn, DatabaseSettings(), SystemClock(), random.Random(seed))
        for seed in (1, 2)
    ]
    yield nodes[0], nodes[1]
    for node in nodes:
        await node.close()
    await maintenance.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await maintenance.close()


async def test_an_empty_database_gets_every_step_and_a_second_time_nothing(
    two_nodes: tuple[Database, Database],
) -> None:
    for _ in range(2):
        assert await migrate(two_nodes[0]) == len(steps())
    assert await two_nodes[0].fetchval("SELECT count(*) FROM tenant") == 1


async def test_two_nodes_that_start_at_once_take_turns(
    two_nodes: tuple[Database, Database],
) -> None:
    assert await asyncio.gather(*map(migrate, two_nodes)) == [len(steps())] * 2
    assert await two_nodes[0].fetchval("SELECT count(*) FROM tenant") == 1


async def test_its_table_is_made_by_any_number_in_one_moment(
    two_nodes: tuple[Database, Database],
) -> None:
    for _ in range(100):  # without its care one in five of these fails
        await asyncio.gather(*map(make_version_table, [*two_nodes, *two_nodes]))
        await two_nodes[0].execute("DROP TABLE schema_version")


async def test_a_schema_of_the_next_release_is_used_as_it_is(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await database.execute("UPDATE schema_version SET version = version + 1")
    assert await migrate(database) == len(steps()) + 1
    assert "schema_newer" in caplog.text


async def test_a_schema_that_needs_a_newer_program_is_refused_untouched(database: Database) -> None:
    await database.execute("UPDATE schema_version SET version = 9999, needs = 9999")
    with pytest.raises(BadConfig, match="9999"):
        await migrate(database)
    assert await database.fetchval("SELECT version FROM schema_version") == 9999
