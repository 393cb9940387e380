"""Copies the farm from one database to another, while it is used, and makes the other one its own.

Writers wait from the first table to the end; readers do not, and leases are renewed until just
before the end. The commit in the database that is left is the one moment that decides: before it,
whatever happens, the farm is where it was, and afterwards it is in the other one.
"""

import hashlib
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from qvdnode.db.backup import COLUMNS, OF_THE_MOMENT, TABLES, into
from qvdnode.db.backup_archive import TableDump
from qvdnode.db.database_move import Mark, MoveState, read_mark, write_mark
from qvdnode.db.migrate import LOCKED_VERSION, make_version_table, steps
from qvdnode.db.pool import Database
from qvdnode.db.restore import make_schema_anew, refuse_content, refuse_serving
from qvdnode.db.rows import row_count
from qvdnode.db.transaction import Transaction, guarded
from qvdnode.db.translation import CommitUnknown
from qvdnode.model.errors import Conflict, HostFailed
from qvdnode.model.ids import NodeId

LIMIT_S: Final = 3600.0
LOCK_LIMIT_S: Final = 10
"""How long to wait for those that write just now."""
LEASES_LOCK_LIMIT_S: Final = 3
"""Renewals queue behind this one: it must be over long before a lease is."""
COPIED: Final = (*TABLES, *OF_THE_MOMENT)
LEASES: Final = "node"
"""The table that is written until the end. Its rows are never deleted, so what refers to them in
the first copy refers to them in the second."""
SETTINGS: Final = (
    f"SET LOCAL lock_timeout = '{LOCK_LIMIT_S}s'",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    "SET LOCAL timezone = 'UTC'",
    "SET LOCAL datestyle = 'ISO'",
    "SET LOCAL intervalstyle = 'postgres'",
    "SET LOCAL bytea_output = 'hex'",
    "SET LOCAL extra_float_digits = 1",
)
"""So that both servers write and read values alike, whatever their configuration is."""
SILENT: Final = "SET LOCAL qvdnode.silent = 'on'"
KEY: Final = """
SELECT a.attname AS name, t.typcollation <> 0 AS is_text
FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
JOIN pg_type t ON t.oid = a.atttypid
WHERE i.indrelid = $1::text::regclass AND i.indisprimary ORDER BY k.place
"""
SEQUENCES: Final = """
SELECT table_name AS name, pg_get_serial_sequence(table_name, column_name) AS sequence,
    pg_sequence_last_value(pg_get_serial_sequence(table_name, column_name)) AS last
FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = ANY($1::text[]) AND is_identity = 'YES'
ORDER BY 1
"""
# The error is that of a server which is read-only: a node that has not heard of the move yet looks
# for another server. A trigger holds for every session, also one that waits for the lock just now.
REFUSE_CHANGES: Final = """
CREATE OR REPLACE FUNCTION qvdnode_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the farm has moved to another database' USING ERRCODE = '25006';
END $$
"""
ENCODING: Final = "SELECT current_setting('server_encoding')"
MAY_CREATE: Final = "SELECT has_schema_privilege(current_schema(), 'CREATE')"
TAKE_LOCK: Final = "SELECT pg_try_advisory_xact_lock($1)"
NOW: Final = "SELECT clock_timestamp()"
FARM: Final = "SELECT farm_id FROM farm WHERE id = 1"
HAS_FARM: Final = "SELECT to_regclass('farm') IS NOT NULL"
SHIFT_LEASES: Final = """
UPDATE node SET lease_until = clock_timestamp() + (lease_until - $1::timestamptz)
WHERE lease_until > $1::timestamptz
"""
ALIVE: Final = """
SELECT id, name, lease_until FROM node WHERE state = 'up' AND lease_until > clock_timestamp()
ORDER BY id
"""
SAME: Final = "That is the database that the farm is in already."
OTHERWISE: Final = (
    "Name an empty one, or save it with `qvdnode backup` if you may want it back and give --force."
)

Told = Callable[[str, str, int], None]
"""Told what was done: a step, the table or nothing, and its rows."""


@dataclass(frozen=True, slots=True)
class Move:
    """What is to be done."""

    farm_id: str
    number: int
    place: bytes
    """What nodes find in the database that is left."""
    force: bool
    """Whether what people made in the other database may be replaced."""


@dataclass(frozen=True, slots=True)
class CopiedLease:
    """The lease of a node that served, as it is in the copy."""

    node_id: NodeId
    name: str
    until: datetime
    """By the other database's clock; the node's first renewal there changes it."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What was done."""

    tables: tuple[TableDump, ...]
    sequences: dict[str, int]
    """The last number that each table has given; none for a table that never has."""
    serving: tuple[CopiedLease, ...]
    """Leases of the nodes that served."""


async def move_farm(source: Database, target: Database, move: Move, told: Told) -> Moved:
    """Copy everything, verify it, and have nodes go to the target.

    Raises Conflict when the target holds something else, or is the source; Unavailable when one of
    them is away or busy: then the farm is where it was, and it can be repeated. HostFailed when the
    copy differs.
    """
    await make_version_table(target)
    moved: Moved | None = None
    try:
        async with _transaction(source) as old:
            moved = await _copied(old, target, move, told)
            await _leave(old, move)
            told("leaving", "", 0)
    except CommitUnknown:
        mark = await read_mark(source)
        if moved is None or (mark.state, mark.number) != (MoveState.LEFT, move.number):
            raise
    if moved is None:
        raise AssertionError("raised otherwise")
    told("left", "", 0)
    return moved


@asynccontextmanager
async def _transaction(db: Database) -> AsyncIterator[Transaction]:
    async with db.transaction(limit_s=LIMIT_S) as tx:
        for setting in SETTINGS:
            await tx.execute(setting)
        yield tx


async def _copied(old: Transaction, target: Database, move: Move, told: Told) -> Moved:
    """Fill the target, which is committed as a copy that nobody uses yet."""
    key = secrets.randbits(62)
    await old.fetchval(TAKE_LOCK, key)
    async with _transaction(target) as new:
        if not await new.fetchval(TAKE_LOCK, key):
            raise Conflict(SAME)
        await _require_usable(new)
        await _refuse_other_content(new, move)
        told("waiting", "", 0)
        await _lock(old, [*(name for name in COPIED if name != LEASES), "schema_version"])
        await _require_current(old, move)
        await new.execute(SILENT)
        await new.fetchval(LOCKED_VERSION)
        await make_schema_anew(new, len(steps()))
        dumps = [await _copy(old, new, name, told) for name in COPIED]
        await old.execute(f"SET LOCAL lock_timeout = '{LEASES_LOCK_LIMIT_S}s'")
        await _lock(old, [LEASES])
        dumps[COPIED.index(LEASES)] = await _copy_leases(old, new)
        sequences = await _set_sequences(old, new)
        for dump in dumps:
            await verify(new, dump)
            told("verified", dump.name, dump.rows)
        await new.execute(SHIFT_LEASES, await old.fetchval(NOW))
        serving = tuple(CopiedLease(*row) for row in await new.fetch(ALIVE))
        await write_mark(new, Mark(move.number, MoveState.ARRIVING, None))
    told("copied", "", sum(dump.rows for dump in dumps))
    return Moved(tuple(dumps), sequences, serving)


async def _require_usable(new: Transaction) -> None:
    encoding = await new.fetchval(ENCODING)
    if encoding != "UTF8":
        raise Conflict(f"That database has the encoding {encoding}: make one with UTF8.")
    if not await new.fetchval(MAY_CREATE):
        raise Conflict(
            "The role may not make tables in that database: make it the owner, as in"
            " docs/operations.md."
        )


async def _refuse_other_content(new: Transaction, move: Move) -> None:
    """What this farm has left there, or a copy that was not finished, may be replaced."""
    mark = await read_mark(new)
    ours = await new.fetchval(HAS_FARM) and await new.fetchval(FARM) == move.farm_id
    if ours and mark.state is not MoveState.HERE:
        return
    await refuse_serving(new)
    if not move.force:
        await refuse_content(new, OTHERWISE)


async def _require_current(old: Transaction, move: Move) -> None:
    mark, version = await read_mark(old), await old.fetchval("SELECT version FROM schema_version")
    if mark.state is MoveState.LEFT:
        raise Conflict(
            "The farm has just moved to another database: look with `qvdnode database show`."
        )
    if mark.number != move.number - 1:
        raise Conflict("The farm has been moved meanwhile; try again.")
    if version != len(steps()):
        raise Conflict(
            f"The database has schema {version}, and this program is for {len(steps())}: move it"
            " with the program that serves it."
        )


async def _lock(tx: Transaction, tables: Sequence[str]) -> None:
    await tx.execute(f"LOCK TABLE {', '.join(tables)} IN SHARE ROW EXCLUSIVE MODE")


async def _copy(old: Transaction, new: Transaction, table: str, told: Told) -> TableDump:
    with _scratch() as file:
        dump = await _dump(old, table, file)
        file.seek(0)
        with guarded():
            await new.raw.copy_to_table(table, source=file, columns=dump.columns, timeout=LIMIT_S)
    told("table", table, dump.rows)
    return dump


async def _copy_leases(old: Transaction, new: Transaction) -> TableDump:
    """The table of leases once more: rows that changed, and new ones."""
    with _scratch() as file:
        dump = await _dump(old, LEASES, file)
        file.seek(0)
        await new.execute(f"CREATE TEMPORARY TABLE newest (LIKE {LEASES}) ON COMMIT DROP")
        with guarded():
            await new.raw.copy_to_table(
                "newest", source=file, columns=dump.columns, timeout=LIMIT_S
            )
    names = ", ".join(dump.columns)
    values = ", ".join(f"{name} = excluded.{name}" for name in dump.columns if name != "id")
    await new.execute(
        f"INSERT INTO {LEASES} ({names}) SELECT {names} FROM newest"
        f" ON CONFLICT (id) DO UPDATE SET {values}"
    )
    return dump


async def _set_sequences(old: Transaction, new: Transaction) -> dict[str, int]:
    """Let the target give the numbers that follow."""
    rows = await old.fetch(SEQUENCES, list(COPIED))
    given = {row["name"]: int(row["last"]) for row in rows if row["last"] is not None}
    for row in await new.fetch(SEQUENCES, list(COPIED)):
        if row["name"] in given:
            await new.fetchval(
                "SELECT setval($1::text::regclass, $2)", row["sequence"], given[row["name"]]
            )
    found = {
        row["name"]: row["last"]
        for row in await new.fetch(SEQUENCES, list(COPIED))
        if row["last"] is not None
    }
    if found != given:
        raise HostFailed(f"The sequences of the copy differ: {found}, not {given}.")
    return given


async def verify(new: Transaction, dump: TableDump) -> None:
    """Raise HostFailed unless the copy of a table has the rows that were read."""
    with _scratch() as file:
        found = await _dump(new, dump.name, file)
    if found != dump:
        raise HostFailed(
            f"The copy of table {dump.name} differs: {found.rows} rows with checksum"
            f" {found.sha256[:12]}, not {dump.rows} with {dump.sha256[:12]}. The farm is where it"
            " was."
        )


async def _dump(tx: Transaction, table: str, file: BinaryIO) -> TableDump:
    """Write the rows as text, in the order of the primary key."""
    columns = tuple(row["column_name"] for row in await tx.fetch(COLUMNS, table))
    key = [
        f"{row['name']}{chr(32) + COLLATED if row['is_text'] else ''}"
        for row in await tx.fetch(KEY, table)
    ]
    checksum = hashlib.sha256()
    with guarded():
        tag = await tx.raw.copy_from_query(
            f"SELECT {', '.join(columns)} FROM {table} ORDER BY {', '.join(key)}",
            output=into(file, checksum.update),
            timeout=LIMIT_S,
        )
    return TableDump(table, columns, row_count(tag), checksum.hexdigest())


COLLATED: Final = 'COLLATE "C"'
"""Two servers may sort texts in two ways."""


async def _leave(old: Transaction, move: Move) -> None:
    """Refuse every change from the commit on, and say where the farm has gone."""
    await write_mark(old, Mark(move.number, MoveState.LEFT, move.place))
    await old.execute(REFUSE_CHANGES)
    for table in (*COPIED, "schema_version"):
        await old.execute(
            f"CREATE TRIGGER farm_has_moved BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON"
            f" {table} FOR EACH STATEMENT EXECUTE FUNCTION qvdnode_refuse_change()"
        )


def _scratch() -> BinaryIO:
    """A file without a name, on a disk."""
    return tempfile.TemporaryFile(dir=SCRATCH)


SCRATCH: Final = Path("/var/tmp")
