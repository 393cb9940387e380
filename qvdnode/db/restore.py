"""Restores a backup in one transaction.

Generations, epochs and ids are increased, since values assigned after the backup must not be
assigned again. In particular homes on the hosts are named by user ids, and a new user must not get
the home of one that the backup lacks. VMs are stopped after a restore; a guest that still runs is
killed by its node's recovery.
"""

from pathlib import Path
from typing import Final

from qvdnode.db.backup import LIMIT_S, NOT_SAVED, TABLES
from qvdnode.db.backup_archive import Archive, Manifest, TableDump, open_archive
from qvdnode.db.migrate import LOCKED_VERSION, apply, make_version_table, migrate, steps
from qvdnode.db.migrate import refuse_newer as refuse_newer_schema
from qvdnode.db.nodes import LEASE_TTL_S
from qvdnode.db.pool import Database
from qvdnode.db.rows import row_count
from qvdnode.db.transaction import Transaction, guarded
from qvdnode.model.errors import Conflict, Invalid
from qvdnode.model.plurals import counted

MADE_BY_PEOPLE: Final[dict[str, tuple[str, str]]] = {
    "tenant": ("tenant", "name <> 'default' OR blocked"),
    "app_user": ("user", "true"),
    "image": ("image", "true"),
    "flavour": ("flavour", "true"),
    "vm": ("VM", "true"),
    "api_token": ("API token", "name NOT LIKE 'first-admin%'"),
    "session": ("session", "true"),
    "audit": ("audit entry", "true"),
}
"""What nobody wants to lose: how it is called, and which rows are not there from the start, which
`qvdnode init` and a node that served nobody make."""

SERVING: Final = """
SELECT string_agg(name, ', ' ORDER BY name) FROM node
WHERE state = 'up' AND lease_until > clock_timestamp()
"""
HAS_TABLE: Final = "SELECT to_regclass($1) IS NOT NULL"
GIVEN_IDS: Final = """
SELECT table_name, pg_sequence_last_value(pg_get_serial_sequence(table_name, column_name)) AS last
FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = ANY($1::text[]) AND is_identity = 'YES'
"""
AHEAD: Final = 1000
"""More than a farm hands out between two backups, should the database itself be lost, too."""
SET_AHEAD: Final = (
    f"""UPDATE vm
    SET gen = gen + {AHEAD}, state = 'stopped', owner_node = NULL, owner_epoch = NULL""",
    f"UPDATE node SET epoch = epoch + {AHEAD}, lease_until = clock_timestamp()",
    """UPDATE session SET closed_at = clock_timestamp(), reason = 'restored from a backup'
    WHERE closed_at IS NULL""",
)

FORGET_HOMES: Final = "UPDATE app_user SET home_node = NULL"
"""Each node says at its next start which homes it has: they may have been restored elsewhere."""


MAY_CHANGE: Final = "DROP TRIGGER IF EXISTS farm_has_moved ON schema_version"
"""Permits changes to a database that the farm has left."""
SAVE_FIRST: Final = "Save it with `qvdnode backup` if you may want it back, then give --force."

SILENT: Final = "SET LOCAL qvdnode.silent = 'on'"
"""The rows that are loaded cause no notices."""


async def restore(db: Database, path: Path, *, force: bool) -> Manifest:
    """Replace the database's content by a backup's, and bring the schema up to date.

    No node may be running. Raises NotFound and Invalid for the file, BadConfig when it is of a
    newer program, Conflict while a node serves, or when the database has content and `force` is not
    given, Unavailable.
    """
    with open_archive(path) as archive:
        refuse_newer_schema(archive.manifest.schema, len(steps()))
        _refuse_unknown_tables(archive.manifest)
        await make_version_table(db)
        async with db.transaction(limit_s=LIMIT_S) as tx:
            await tx.fetchval(LOCKED_VERSION)
            await refuse_serving(tx)
            if not force:
                await refuse_content(tx)
            await tx.execute(SILENT)
            given = await _given_ids(tx)
            await make_schema_anew(tx, archive.manifest.schema)
            for table in archive.manifest.tables:
                await _load(tx, archive, table)
                if "id" in table.columns:
                    await _set_ids_ahead(tx, table.name, given.get(table.name, 0))
            for statement in SET_AHEAD:
                await tx.execute(statement)
        await migrate(db)
        await db.execute(FORGET_HOMES, idempotent=True)
        return archive.manifest


def _refuse_unknown_tables(manifest: Manifest) -> None:
    """Refuse unknown table names, since the names are inserted into statements."""
    for table in manifest.tables:
        names = [table.name, *table.columns]
        if table.name not in TABLES or not all(name.isidentifier() for name in names):
            raise Invalid(f"The backup speaks of a table {table.name!r} that no farm has.")


async def refuse_serving(tx: Transaction) -> None:
    """Raise Conflict while a node serves from the database."""
    names = await tx.fetchval(SERVING) if await tx.fetchval(HAS_TABLE, "node") else None
    if names:
        raise Conflict(
            f"The database is in use by {names}: stop every node first. One that was killed counts "
            f"as stopped {LEASE_TTL_S:g} s later."
        )


async def refuse_content(tx: Transaction, otherwise: str = SAVE_FIRST) -> None:
    """Raise Conflict, with what to do otherwise, for a database in which people made something."""
    found = []
    for table, (noun, made) in MADE_BY_PEOPLE.items():
        if await tx.fetchval(HAS_TABLE, table):
            rows = await tx.fetchval(f"SELECT count(*) FROM {table} WHERE {made}")
            found += [counted(rows, noun)] if rows else []
    if found:
        raise Conflict(
            f"The database holds {', '.join(found)}, and all that is in it would be replaced."
            f" {otherwise}"
        )


async def _given_ids(tx: Transaction) -> dict[str, int]:
    """The last id that each table has handed out, in the database that is to be replaced."""
    rows = await tx.fetch(GIVEN_IDS, list(TABLES))
    return {row["table_name"]: row["last"] or 0 for row in rows}


async def _set_ids_ahead(tx: Transaction, table: str, given: int) -> None:
    last = max(given, await tx.fetchval(f"SELECT coalesce(max(id), 0) FROM {table}"))
    await tx.fetchval("SELECT setval(pg_get_serial_sequence($1, 'id'), $2)", table, last + AHEAD)


async def make_schema_anew(tx: Transaction, version: int) -> None:
    """Remove the farm's tables, if there are any, and make empty ones of that schema."""
    await tx.execute(MAY_CHANGE)
    for table in (*NOT_SAVED, *reversed(TABLES)):
        await tx.execute(f"DROP TABLE IF EXISTS {table}")
    for step in steps()[:version]:
        await apply(tx, step)
    # the first step makes the default tenant, which the backup has too
    await tx.execute("DELETE FROM tenant")


async def _load(tx: Transaction, archive: Archive, table: TableDump) -> None:
    with archive.table(table.name) as stream, guarded():
        tag = await tx.raw.copy_to_table(
            table.name, source=stream, columns=table.columns, timeout=LIMIT_S
        )
    if row_count(tag) != table.rows:
        raise Invalid(f"The backup is damaged: table {table.name} has lost rows.")
