"""Checks a statement's result; raises NotFound."""

import asyncpg

from qvdnode.model.errors import NotFound


def found(row: asyncpg.Record | None, kind: str, wanted: object) -> asyncpg.Record:
    """The row; raises NotFound naming the thing, as in "There is no tenant 7."."""
    if row is None:
        raise NotFound(f"There is no {kind} {wanted}.")
    return row


def changed(tag: str, kind: str, wanted: object) -> None:
    """Check that a command tag such as `UPDATE 1` speaks of a row; raises NotFound."""
    if not row_count(tag):
        raise NotFound(f"There is no {kind} {wanted}.")


def row_count(tag: str) -> int:
    """Return the row count of a command tag."""
    return int(tag.rpartition(" ")[2])
