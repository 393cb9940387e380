"""The pool under trouble: cut connections, restarts, absence, crowds."""

import asyncio
import logging
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from qvdnode.db.pool import Database
from qvdnode.db.settings import DatabaseSettings
from qvdnode.db.tenants import Tenants
from qvdnode.db.translation import CommitUnknown, ConnectionBroken
from qvdnode.model.errors import Conflict, Unavailable
from qvdnode.runtime.clock import SystemClock
from qvdnode.runtime.supervise import Supervisor
from tests.integration.db.conftest import OwnServer
from tests.waiting import until

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(60)]

PID = "SELECT pg_backend_pid()"
INSERT = "INSERT INTO tenant (name) VALUES ('acme')"
NAP = "SELECT pg_sleep(0.3)"


async def open_pool(dsn: str, **settings: float) -> Database:
    return await Database.open(
        dsn,
        DatabaseSettings(
            connections_max=int(settings.pop("connections_max", 4)),
            statement_limit_s=settings.pop("statement_limit_s", 2.0),
        ),
        SystemClock(),
        random.Random(1),
    )


@pytest.fixture
async def cut(postgres_dsn: str) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    """Ends a connection of the database as an administrator would."""
    other = await asyncpg.connect(postgres_dsn)

    async def end(pid: int) -> None:
        assert await other.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)

    yield end
    await other.close()


async def failure_of(work: Awaitable[object], *, within_s: float) -> Exception:
    """What the work raises, which must not take longer."""
    began = time.perf_counter()
    with pytest.raises(Unavailable) as caught:
        await work
    assert time.perf_counter() - began < within_s
    return caught.value


async def test_a_connection_that_died_unnoticed_costs_an_idempotent_statement_nothing(
    database: Database, cut: Callable[[int], Awaitable[None]]
) -> None:
    await cut(await database.fetchval(PID))
    assert await database.fetchval("SELECT 1", idempotent=True) == 1
    assert database.available


async def test_a_statement_that_is_not_idempotent_is_never_sent_twice(
    database: Database, cut: Callable[[int], Awaitable[None]]
) -> None:
    await database.execute("CREATE TABLE mark (n integer)")
    work = asyncio.gather(
        database.execute("INSERT INTO mark SELECT 1 FROM pg_sleep(5)"), return_exceptions=True
    )
    other = await until(
        lambda: database.fetchval(
            "SELECT pid FROM pg_stat_activity WHERE query LIKE 'INSERT INTO mark%'"
        )
    )
    await cut(other)
    assert [type(outcome) for outcome in await work] == [ConnectionBroken]
    assert await database.fetchval("SELECT count(*) FROM mark") == 0


async def test_a_transaction_begins_again_on_a_dead_connection(
    database: Database, cut: Callable[[int], Awaitable[None]]
) -> None:
    await cut(await database.fetchval(PID))
    async with database.transaction() as tx:
        assert await tx.fetchval("SELECT 1") == 1


async def test_an_error_rolls_a_transaction_back_and_keeps_the_connection(
    database: Database,
) -> None:
    pid = await database.fetchval(PID)

    async def twice() -> None:
        async with database.transaction() as tx:
            await tx.execute(INSERT)
            await tx.execute(INSERT)

    with pytest.raises(Conflict):
        await twice()
    assert await database.fetchval("SELECT count(*) FROM tenant") == 1
    assert await database.fetchval(PID) == pid


async def test_a_commit_whose_connection_died_is_said_to_be_unknown(
    database: Database, cut: Callable[[int], Awaitable[None]]
) -> None:
    async def work() -> None:
        async with database.transaction() as tx:
            await tx.execute(INSERT)
            await cut(await tx.fetchval(PID))

    with pytest.raises(CommitUnknown):
        await work()
    assert await database.fetchval("SELECT count(*) FROM tenant", idempotent=True) == 1


async def test_a_statement_has_a_limit_and_the_next_one_is_fine(postgres_dsn: str) -> None:
    pool = await open_pool(postgres_dsn, statement_limit_s=0.5)
    said = await failure_of(pool.execute("SELECT pg_sleep(20)"), within_s=1.2)
    assert "too long" in str(said)
    assert await pool.fetchval("SELECT 1") == 1
    await pool.close()


async def test_a_server_that_became_read_only_is_left(database: Database) -> None:
    await database.execute("SET default_transaction_read_only = on")
    with pytest.raises(ConnectionBroken):
        await database.execute(INSERT)
    await database.execute(INSERT)


async def test_a_caller_that_gives_up_leaves_the_pool_whole(postgres_dsn: str) -> None:
    pool = await open_pool(postgres_dsn, connections_max=2)
    naps = [asyncio.ensure_future(pool.execute("SELECT pg_sleep(20)")) for _ in range(2)]
    await until(pool._slots.locked)
    for nap in naps:
        nap.cancel()
    await asyncio.gather(*naps, return_exceptions=True)
    assert await asyncio.gather(*(pool.fetchval("SELECT 1") for _ in range(4))) == [1] * 4
    await pool.close()


async def test_a_crowd_shares_few_connections(postgres_dsn: str) -> None:
    pool = await open_pool(postgres_dsn, connections_max=3)
    pids = await asyncio.gather(*(pool.fetchval(PID) for _ in range(300)))
    assert len(set(pids)) <= 3
    await pool.close()


async def test_a_value_postgres_cannot_hold_breaks_nothing(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    pid = await database.fetchval(PID)
    for name in ("a\x00b", "\udcff"):
        with pytest.raises(Exception, match="refuses a value"):
            await Tenants(database).create(name)
    assert await database.fetchval(PID) == pid
    assert caplog.messages == ["database_refused_value"] * 2


async def test_while_the_server_is_away_every_call_fails_soon_and_then_all_heals(
    own_server: OwnServer, caplog: pytest.LogCaptureFixture
) -> None:
    pool = await open_pool(await own_server.embedded.start())
    caplog.set_level(logging.INFO, logger="qvdnode.db.pool")
    await own_server.embedded.stop()
    for _ in range(20):
        said = await failure_of(pool.fetchval("SELECT 1", idempotent=True), within_s=1.5)
        assert "running desktops go on" in str(said)
    assert not pool.available
    async with Supervisor("test") as tasks:
        healing = tasks.essential("heal", pool.run())
        await own_server.another().start()
        await until(lambda: pool.available, limit_s=30)
        assert await pool.fetchval("SELECT 1") == 1
        healing.cancel()
    changes = [said for said in caplog.messages if said in ("database_away", "database_back")]
    assert changes == ["database_away", "database_back"]
    await pool.close()


async def test_it_heals_by_use_too(own_server: OwnServer) -> None:
    pool = await open_pool(await own_server.embedded.start())
    await own_server.embedded.stop()
    await failure_of(pool.fetchval("SELECT 1", idempotent=True), within_s=1.5)
    await own_server.another().start()

    async def answers() -> bool:
        try:
            return bool(await pool.fetchval("SELECT true"))
        except Unavailable:
            return False

    await until(answers, limit_s=30)
    await pool.close()


async def test_a_restart_in_the_middle_of_statements_is_survived(own_server: OwnServer) -> None:
    pool = await open_pool(await own_server.embedded.start())
    naps = [asyncio.ensure_future(pool.execute(NAP, idempotent=True)) for _ in range(4)]
    await until(pool._slots.locked)
    await own_server.embedded.stop()
    await own_server.another().start()
    outcomes = await asyncio.gather(*naps, return_exceptions=True)
    assert all(outcome == "SELECT 1" or isinstance(outcome, Unavailable) for outcome in outcomes)
    async with Supervisor("test") as tasks:
        healing = tasks.essential("heal", pool.run())
        await until(lambda: pool.available, limit_s=30)
        healing.cancel()
    assert await pool.fetchval("SELECT 1", idempotent=True) == 1
    await pool.close()


async def test_a_server_that_hangs_is_given_up(own_server: OwnServer) -> None:
    pool = await open_pool(await own_server.embedded.start(), statement_limit_s=0.5)
    backend = await pool.fetchval(PID)
    postmaster = own_server.pid()
    assert postmaster is not None
    for pid in (backend, postmaster):
        os.kill(pid, signal.SIGSTOP)
    try:
        await failure_of(pool.fetchval("SELECT 1"), within_s=2.5)
        await failure_of(pool.fetchval("SELECT 1"), within_s=1.5)
        assert not pool.available
        await failure_of(pool.fetchval("SELECT 1"), within_s=0.1)
    finally:
        for pid in (backend, postmaster):
            os.kill(pid, signal.SIGCONT)
    await pool.close()


async def test_an_absent_database_is_no_error_when_a_pool_opens() -> None:
    pool = await open_pool("postgresql://u@/d?host=/nonexistent")
    assert not pool.available
    await failure_of(pool.fetchval("SELECT 1"), within_s=0.1)
    await pool.close()


def promote(server: OwnServer, name: str, content: str = "") -> None:
    """Leave a file in the data folder of a server that is stopped, for its next start."""
    data = server.settings.state_dir / "pg" / "data"
    (data / name).write_text(content)
    owner = data.stat()
    os.chown(data / name, owner.st_uid, owner.st_gid)


async def takes_writes(dsn: str) -> bool:
    """Whether the server has become the primary."""
    connection = await asyncpg.connect(dsn)
    try:
        return not await connection.fetchval("SELECT pg_is_in_recovery()")
    finally:
        await connection.close()


async def test_a_failover_counts_as_coming_back_even_if_nobody_missed_the_database(
    own_server: OwnServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Else a node might take desktops over whose leases the promoted standby lacks."""
    await own_server.embedded.start()
    await own_server.embedded.stop()
    promote(own_server, "postgresql.auto.conf", "wal_level = replica\nrestore_command = 'false'\n")
    pool = await open_pool(await own_server.embedded.start())
    assert await pool.fetchval("SELECT 1") == 1
    assert pool.back_for_s == float("inf")
    await own_server.embedded.stop()
    await own_server.embedded.start()
    assert await pool.fetchval("SELECT 1", idempotent=True) == 1
    assert pool.back_for_s == float("inf"), "a restart is not a failover"
    await own_server.embedded.stop()
    promote(own_server, "recovery.signal")
    dsn = await own_server.embedded.start()
    await until(lambda: takes_writes(dsn), limit_s=20)
    assert await pool.fetchval("SELECT 1", idempotent=True) == 1
    assert pool.back_for_s < 30
    assert "database_failed_over" in caplog.text
    assert "database_away" not in caplog.text
    await pool.close()
