"""What a database is in a move of the farm: where it is, where it arrives, or what it has left.

The mark in the database that the farm leaves decides. Nodes read it there, and follow it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import asyncpg

from qvdnode.db.pool import Database
from qvdnode.db.transaction import Transaction
from qvdnode.model.errors import BadConfig, Unavailable

HAS_TABLE: Final = "SELECT to_regclass('database_move') IS NOT NULL"
GET: Final = "SELECT number, state, place FROM database_move WHERE id = 1"
SET: Final = """
INSERT INTO database_move (id, number, state, place) VALUES (1, $1, $2, $3)
ON CONFLICT (id) DO UPDATE SET number = $1, state = $2, place = $3, at = clock_timestamp()
"""
ARRIVED: Final = """
UPDATE database_move SET state = 'here', at = clock_timestamp()
WHERE id = 1 AND state = 'arriving' AND number = $1
"""
UNFINISHED: Final = (
    "The database holds the copy of a move that has not ended. Run `qvdnode database move` again on"
    " a node of the farm, or set database.dsn to the database that the farm is in."
)


class MoveState(StrEnum):
    """What a database is to the farm."""

    ARRIVING = "arriving"
    """It holds a copy; the farm is still in the other one."""
    HERE = "here"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Mark:
    """The row."""

    number: int
    state: MoveState
    place: bytes | None
    """Where the farm has gone, sealed; of a database that it has left."""


NEVER_MOVED: Final = Mark(0, MoveState.HERE, None)


async def read_mark(db: Database | Transaction) -> Mark:
    """The mark of a database; raises Unavailable."""
    if isinstance(db, Transaction):
        return _mark(await db.fetchrow(GET)) if await db.fetchval(HAS_TABLE) else NEVER_MOVED
    try:
        return _mark(await db.fetchrow(GET, idempotent=True))
    except BadConfig:  # an older program, or none yet, has made its tables
        return NEVER_MOVED


async def write_mark(tx: Transaction, mark: Mark) -> None:
    """Mark a database."""
    await tx.execute(SET, mark.number, mark.state, mark.place)


async def arrive(db: Database, number: int) -> None:
    """The farm is in this database now, by that move; can be repeated. Raises Unavailable."""
    await db.execute(ARRIVED, number, idempotent=True)


async def require_arrived(db: Database) -> None:
    """Raise Unavailable for a copy that no node may use yet."""
    if (await read_mark(db)).state is MoveState.ARRIVING:
        raise Unavailable(UNFINISHED)


def _mark(row: asyncpg.Record | None) -> Mark:
    if row is None:
        return NEVER_MOVED
    return Mark(row["number"], MoveState(row["state"]), row["place"])
