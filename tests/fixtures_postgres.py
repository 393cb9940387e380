"""Fixtures for tests on a real PostgreSQL: one embedded server a run, a fresh database a test.

`postgres_dsn` is the address of an empty, migrated database; `database` is a Database open on it.
"""

import asyncio
import os
import random
import secrets
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest

from qvdnode.db import server_config
from qvdnode.db.embedded import EmbeddedPostgres
from qvdnode.db.migrate import migrate
from qvdnode.db.pool import Database
from qvdnode.db.postmaster import running_server
from qvdnode.db.raw import RawConnection
from qvdnode.db.settings import DatabaseSettings
from qvdnode.runtime.clock import SystemClock
from tests.waiting import until

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
        _let_root_in(settings)
        maintenance = dsn.replace("/qvdnode?", "/postgres?").replace(
            f"//{server_config.ROLE}@", f"//{server_config.SUPERUSER}@"
        )
        _run(_make_template(dsn, maintenance, settings))
        yield PostgresServer(dsn, maintenance, settings)
    finally:
        _run(server.stop())
        shutil.rmtree(settings.state_dir)


@asynccontextmanager
async def fresh_database(server: PostgresServer) -> AsyncIterator[str]:
    """The address of a new, migrated database, dropped in the end."""
    name = f"test_{secrets.token_hex(4)}"
    made = f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER {server_config.ROLE}"
    await _maintain(server.maintenance_dsn, made)
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


def _let_root_in(settings: DatabaseSettings) -> None:
    """As superuser, and as the node's role into the databases of tests."""
    conf = settings.state_dir / "pg" / "conf"
    with (conf / "pg_hba.conf").open("a") as hba, (conf / "pg_ident.conf").open("a") as ident:
        hba.write(f"local all {server_config.ROLE} peer map=node\n")
        ident.write(f"superuser root {server_config.SUPERUSER}\n")
    running = running_server(settings.state_dir / "pg" / "data")
    assert running is not None
    os.kill(running.pid, signal.SIGHUP)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run it on a loop of its own: the first test that asks may be on a loop already."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, work).result()


async def _make_template(dsn: str, maintenance: str, settings: DatabaseSettings) -> None:
    await _maintain(
        maintenance, f"CREATE DATABASE {TEMPLATE} OWNER {server_config.ROLE}", limit_s=60.0
    )
    address = dsn.replace("/qvdnode?", f"/{TEMPLATE}?")
    db = await Database.open(address, settings, SystemClock(), random.Random(1))
    await migrate(db)
    await db.close()


async def _maintain(maintenance: str, statement: str, *, limit_s: float = 1.0) -> None:
    connection = await _connected(maintenance, limit_s)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _connected(dsn: str, limit_s: float) -> RawConnection:
    """A connection; the server reads its files anew some moment after the signal."""
    found: list[RawConnection] = []

    async def connects() -> bool:
        with suppress(asyncpg.InvalidAuthorizationSpecificationError):
            found.append(await asyncpg.connect(dsn))
        return bool(found)

    await until(connects, limit_s=limit_s)
    return found[0]
