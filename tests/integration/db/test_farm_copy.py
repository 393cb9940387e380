"""A farm moves to another database whole, or not at all."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from qvdnode.db.backup_archive import TableDump
from qvdnode.db.database_move import MoveState, arrive, read_mark, require_arrived
from qvdnode.db.farm_copy import COPIED, SEQUENCES, Move, Told, move_farm, verify
from qvdnode.db.migrate import migrate
from qvdnode.db.nodes import Nodes
from qvdnode.db.pool import Database
from qvdnode.db.settings import DatabaseSettings
from qvdnode.db.tenants import Tenants
from qvdnode.model.errors import Conflict, FarmError, HostFailed, Unavailable
from qvdnode.runtime.clock import SystemClock
from qvdnode.runtime.supervise import Supervisor
from tests.fixtures_postgres import PostgresServer, fresh_database
from tests.integration.db.test_backup import fill, rows
from tests.waiting import until

pytestmark = pytest.mark.postgres

MOVE = Move("farm", 1, b"sealed", force=False)
SAME = tuple(name for name in COPIED if name != "node")


@asynccontextmanager
async def opened(server: PostgresServer) -> AsyncIterator[Database]:
    """A pool on a new database."""
    async with fresh_database(server) as dsn:
        db = await Database.open(dsn, DatabaseSettings(), SystemClock(), random.Random(1))
        yield db
        await db.close()


@pytest.fixture
async def other(postgres_server: PostgresServer) -> AsyncIterator[Database]:
    """A second database, empty."""
    async with opened(postgres_server) as db:
        yield db


def quiet(step: str, what: str, number: int) -> None:
    """Told of nothing."""


async def numbers(db: Database) -> list[tuple[str, int]]:
    """The last number of every sequence."""
    return [(row["name"], row["last"]) for row in await db.fetch(SEQUENCES, list(COPIED))]


async def test_everything_is_in_the_other_database_and_changes_go_there_alone(
    database: Database, other: Database
) -> None:
    await fill(database)
    before, given = await rows(database, COPIED), await numbers(database)
    moved = await move_farm(database, other, MOVE, quiet)
    assert {table.name: table.rows for table in moved.tables} == {
        name: len(found) for name, found in before.items()
    }
    assert await rows(other, SAME) == {name: before[name] for name in SAME}
    assert await numbers(other) == given
    assert [lease.name for lease in moved.serving] == ["one"]
    with pytest.raises(Unavailable):
        await Tenants(database).create("late")
    for change in ("DELETE FROM vm", "TRUNCATE audit", "UPDATE node SET epoch = 9"):
        with pytest.raises(Unavailable):
            await database.execute(change)
    assert (await read_mark(database)).place == b"sealed"
    with pytest.raises(Unavailable, match="has not ended"):
        await require_arrived(other)
    await arrive(other, 1)
    await require_arrived(other)
    made = await Tenants(other).create("acme")
    assert made.id == dict(given)["tenant"] + 1


async def test_a_lease_runs_as_long_in_the_other_database(
    database: Database, other: Database
) -> None:
    """Whatever the clocks of the two servers say; one that is over stays over."""
    seat = await Nodes(database).join("one", "boot", "::1")
    gone = await Nodes(database).join("two", "boot", "::2")
    await Nodes(database).leave(gone.node_id, gone.epoch, guests_stay=False)
    await move_farm(database, other, MOVE, quiet)
    assert (await Nodes(other).get(seat.node_id)).alive
    assert not (await Nodes(other).get(gone.node_id)).alive


async def test_leases_are_renewed_while_tables_are_copied_and_nothing_else_is_changed(
    database: Database, other: Database
) -> None:
    await fill(database)
    (node,) = await Nodes(database).peers()
    async with Supervisor("move") as tasks:
        async with other.transaction() as busy:
            # the copy waits here, when it has all but the leases
            await busy.execute("LOCK TABLE tenant IN ACCESS SHARE MODE")
            moving = tasks.essential("copy", moved_to(database, other))
            await until(lambda: is_locked(database), limit_s=10)
            assert await Nodes(database).renew(node.id, node.epoch)
            assert (await Tenants(database).by_name("default")).name == "default"
            with pytest.raises(Unavailable):
                await database.execute("UPDATE tenant SET blocked = true")
        await moving
    (copied,) = await Nodes(other).peers()
    assert copied.alive
    assert not (await Tenants(other).by_name("default")).blocked


async def moved_to(source: Database, target: Database) -> None:
    """A move, as a task."""
    await move_farm(source, target, MOVE, quiet)


async def is_locked(db: Database) -> bool:
    """Whether a move keeps writers from the tables."""
    return bool(
        await db.fetchval(
            "SELECT count(*) FROM pg_locks WHERE mode = 'ShareRowExclusiveLock' AND granted"
            " AND relation = 'audit'::regclass"
        )
    )


class Killed(Exception):
    """The process ended here."""


def dies_at(step: str, table: str = "") -> Told:
    """Raises when that is done."""

    def tell(done: str, what: str, number: int) -> None:
        if (done, what) == (step, table) or (done == step and not table):
            raise Killed

    return tell


@pytest.mark.parametrize(
    ("step", "table"),
    [("waiting", ""), ("table", "audit"), ("copied", ""), ("leaving", "")],
)
async def test_a_move_that_dies_before_its_end_has_changed_nothing_and_can_be_repeated(
    database: Database, other: Database, step: str, table: str
) -> None:
    await fill(database)
    before = await rows(database, COPIED)
    with pytest.raises(Killed):
        await move_farm(database, other, MOVE, dies_at(step, table))
    assert (await read_mark(database)).state is MoveState.HERE
    assert await rows(database, COPIED) == before
    await Tenants(database).create("acme")
    arriving = step in ("copied", "leaving")
    assert ((await read_mark(other)).state is MoveState.ARRIVING) is arriving
    assert arriving or not await other.fetchval("SELECT count(*) FROM app_user")
    await move_farm(database, other, MOVE, quiet)
    assert (await Tenants(other).by_name("acme")).name == "acme"


async def test_after_the_end_the_farm_is_in_the_other_one_whoever_died(
    database: Database, other: Database
) -> None:
    await fill(database)
    with pytest.raises(Killed):
        await move_farm(database, other, MOVE, dies_at("left"))
    mark = await read_mark(database)
    assert (mark.state, mark.number, mark.place) == (MoveState.LEFT, 1, b"sealed")
    with pytest.raises(Conflict, match="has just moved"):
        await move_farm(database, other, MOVE, quiet)


async def test_there_and_back(database: Database, other: Database) -> None:
    await fill(database)
    await move_farm(database, other, MOVE, quiet)
    await arrive(other, 1)
    await Tenants(other).create("acme")
    await move_farm(other, database, Move("farm", 2, b"back", force=False), quiet)
    await arrive(database, 2)
    await Tenants(database).create("again")
    assert (await Tenants(database).by_name("acme")).name == "acme"
    assert (await read_mark(database)).state is MoveState.HERE
    await migrate(database)


async def test_what_somebody_made_is_not_replaced_without_being_told(
    database: Database, other: Database
) -> None:
    await fill(database)
    await Tenants(other).create("theirs")
    with pytest.raises(Conflict, match="holds 1 tenant"):
        await move_farm(database, other, MOVE, quiet)
    assert (await Tenants(other).by_name("theirs")).name == "theirs"
    await move_farm(database, other, Move("farm", 1, b"sealed", force=True), quiet)
    with pytest.raises(FarmError):
        await Tenants(other).by_name("theirs")


async def test_another_farm_that_serves_there_is_not_replaced(
    database: Database, other: Database
) -> None:
    await Nodes(other).join("theirs", "boot", "::1")
    with pytest.raises(Conflict, match="in use by theirs"):
        await move_farm(database, other, Move("farm", 1, b"sealed", force=True), quiet)


async def test_the_same_database_by_another_name_is_noticed(
    postgres_dsn: str, database: Database
) -> None:
    await fill(database)
    again = await Database.open(postgres_dsn, DatabaseSettings(), SystemClock(), random.Random(1))
    with pytest.raises(Conflict, match="already"):
        await move_farm(database, again, MOVE, quiet)
    await again.close()
    assert (await read_mark(database)).state is MoveState.HERE


async def test_a_copy_that_differs_is_told(database: Database) -> None:
    await fill(database)
    async with database.transaction() as tx:
        with pytest.raises(HostFailed, match="copy of table tenant differs: 1 rows"):
            await verify(tx, TableDump("tenant", ("id", "name", "blocked", "created_at"), 2, "00"))
