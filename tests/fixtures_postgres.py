"""Fixtures for tests on a real PostgreSQL: one embedded server a run, a fresh database a test.

`postgres_dsn` is the address of an empty, migrated database; `database` is a Database open on it.
"""

import asyncio
import random
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest

from qvdnode.db import server_config
from qvdnode.db.embedded import EmbeddedPostgres
from qvdnode.db.migrate import migrate
from qvdnode.db.pool import Database
from qvdnode.db.settings import DatabaseSettings
from qvdnode.runtime.clock import SystemClock

T = TypeVar("T")

TEMPLATE = "template_farm"
STATE_PARENT = Path("/var/tmp")


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """The run's server."""

    dsn: str
    maintenance_dsn: str
    settings: DatabaseSettings


def state_folder() -> Path:
    """A fresh state folder that other accounts can pass through; the caller removes it."""
    folder = Path(tempfile.mkdtemp(prefix="qvdnode-test-", dir=STATE_PARENT))
    folder.chmod(0o711)
    return folder


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """An embedded server of this run, with a template of a migrated database."""
    settings = DatabaseSettings(state_dir=state_folder(), connections_max=60)
    server = EmbeddedPostgres(settings, SystemClock())
    try:
        dsn = _run(server.start())
        maintenance = dsn.replace("/qvdnode?", "/postgres?")
        _run(_make_template(dsn, maintenance, settings))
        yield PostgresServer(dsn, maintenance, settings)
    finally:
        _run(server.stop())
        shutil.rmtree(settings.state_dir)


@asynccontextmanager
async def fresh_database(server: PostgresServer) -> AsyncIterator[str]:
    """The address of a new, migrated database, dropped in the end."""
    name = f"test_{secrets.token_hex(4)}"
    await _maintain(server.maintenance_dsn, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield server.dsn.replace("/qvdnode?", f"/{name}?")
    await _maintain(server.maintenance_dsn, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def postgres_dsn(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """The address of a database of this test, migrated."""
    async with fresh_database(postgres_server) as dsn:
        yield dsn


@pytest.fixture
async def database(postgres_dsn: str) -> AsyncIterator[Database]:
    """An open Database; nothing heals it in the background."""
    db = await Database.open(postgres_dsn, DatabaseSettings(), SystemClock(), random.Random(1))
    yield db
    await db.close()


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run it on a loop of its own: the first test that asks may be on a loop already."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, work).result()


async def _make_template(dsn: str, maintenance: str, settings: DatabaseSettings) -> None:
    await _maintain(maintenance, f"CREATE DATABASE {TEMPLATE} OWNER {server_config.ROLE}")
    address = dsn.replace("/qvdnode?", f"/{TEMPLATE}?")
    db = await Database.open(address, settings, SystemClock(), random.Random(1))
    await migrate(db)
    await db.close()


async def _maintain(maintenance: str, statement: str) -> None:
    connection = await asyncpg.connect(maintenance)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
