"""Migrates the schema to this program's version, one numbered file at a time.

Each file is a transaction that first locks the one row of schema_version, so that two nodes that
start at once take turns, and the second finds nothing left to do. Files only add to the schema, so
that nodes of the release before go on, and start again, while a farm is upgraded.
"""

import logging
import re
from dataclasses import dataclass
from importlib import resources
from typing import Final

from qvdnode.db.pool import Database
from qvdnode.db.transaction import Transaction
from qvdnode.model.errors import BadConfig, Conflict, HostFailed

log = logging.getLogger(__name__)

FILE_NAME: Final = re.compile(r"(\d{4})_[a-z_]+\.sql")
LIMIT_S: Final = 600.0
"""Long enough for a schema change on a large farm, and to wait for another node's."""
TRIES: Final = 3

UPGRADE: Final = "Another node runs a newer version; upgrade this one too."

SCHEMA_EXISTS: Final = "SELECT to_regclass('schema_version') IS NOT NULL"
CREATE: Final = """
CREATE TABLE IF NOT EXISTS schema_version (
    id integer PRIMARY KEY CHECK (id = 1),
    version integer NOT NULL
)
"""
FIRST_ROW: Final = (
    "INSERT INTO schema_version (id, version) VALUES (1, 0) ON CONFLICT (id) DO NOTHING"
)
HAS_ROW: Final = "SELECT EXISTS (SELECT 1 FROM schema_version WHERE id = 1)"
LOCKED_VERSION: Final = "SELECT version FROM schema_version WHERE id = 1 FOR UPDATE"
NEEDS: Final = "SELECT needs FROM schema_version WHERE id = 1"
SET_VERSION: Final = "UPDATE schema_version SET version = $1 WHERE id = 1"


@dataclass(frozen=True, slots=True)
class Step:
    """One file of the schema."""

    number: int
    name: str
    sql: str


def steps() -> tuple[Step, ...]:
    """Every file of the schema, in order; they are only ever added."""
    found = []
    for item in resources.files("qvdnode.db").joinpath("schema").iterdir():
        if match := FILE_NAME.fullmatch(item.name):
            sql = item.read_text(encoding="utf-8")
            found.append(Step(int(match.group(1)), item.name, sql))
    found.sort(key=lambda step: step.number)
    if [step.number for step in found] != list(range(1, len(found) + 1)):
        raise HostFailed("The program's schema files are incomplete; install it again.")
    return tuple(found)


def refuse_newer(version: int, known: int) -> None:
    """Raise BadConfig if a schema is newer than the program may be used with."""
    if version > known:
        raise BadConfig(
            f"The database has schema {version}, and this program knows schemas up to {known}: "
            "another node runs a newer version; upgrade this one too.",
            key="database.dsn",
        )


async def migrate(db: Database) -> int:
    """Apply what is missing and return the schema's number.

    A schema that is newer than the program stays as it is, if its steps say that this program can
    use it; else raises BadConfig. Raises Unavailable when the database is away; the schema is then
    at some whole step.
    """
    known = steps()
    await make_version_table(db)
    version = -1
    for step in known:
        async with db.transaction(limit_s=LIMIT_S) as tx:
            version = int(await tx.fetchval(LOCKED_VERSION))
            if version > len(known):
                refuse_newer(int(await tx.fetchval(NEEDS)), len(known))
                log.warning(
                    "schema_newer", extra={"schema": version, "known": len(known), "fix": UPGRADE}
                )
                return version
            if version < step.number:
                await apply(tx, step)
                version = step.number
    return version


async def apply(tx: Transaction, step: Step) -> None:
    """Run one step in a transaction that has the version row locked."""
    await tx.execute(step.sql)
    await tx.execute(SET_VERSION, step.number)
    log.info("schema_step_applied", extra={"step": step.name})


async def make_version_table(db: Database) -> None:
    """Make the table that tells the schema's number, and its one row."""
    for left in reversed(range(TRIES)):
        try:
            if not await db.fetchval(SCHEMA_EXISTS, idempotent=True):
                await db.execute(CREATE, idempotent=True)
            if not await db.fetchval(HAS_ROW, idempotent=True):
                await db.execute(FIRST_ROW, idempotent=True)
        except Conflict:
            # IF NOT EXISTS does not hold against somebody who creates it in the same moment: then
            # the table, its type or their entry in the catalogue is there already
            if left == 0:
                raise
        else:
            return
