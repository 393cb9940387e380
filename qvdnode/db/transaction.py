"""One transaction, in the farm's errors."""

import contextlib
from collections.abc import Iterator
from typing import Any

import asyncpg

from qvdnode.db.raw import RawConnection
from qvdnode.db.translation import translate


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Raise what the database says as the farm's errors; bugs and cancellations pass through."""
    try:
        yield
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        translated = translate(error)
        if translated is None:
            raise
        raise translated from error


class Transaction:
    """What can be done between begin and commit. Made by `Database.transaction`."""

    def __init__(self, raw: RawConnection, limit_s: float) -> None:
        self.raw = raw
        """For COPY, which only backups use."""
        self._limit_s = limit_s

    async def fetch(self, sql: str, *args: object) -> list[asyncpg.Record]:
        """All rows."""
        with guarded():
            return await self.raw.fetch(sql, *args, timeout=self._limit_s)

    async def fetchrow(self, sql: str, *args: object) -> asyncpg.Record | None:
        """The first row, or None."""
        with guarded():
            return await self.raw.fetchrow(sql, *args, timeout=self._limit_s)

    async def fetchval(self, sql: str, *args: object) -> Any:  # noqa: ANN401 - a column holds anything
        """The first column of the first row, or None."""
        with guarded():
            return await self.raw.fetchval(sql, *args, timeout=self._limit_s)

    async def execute(self, sql: str, *args: object) -> str:
        """Run a statement, or without arguments a whole script; returns the command tag."""
        with guarded():
            return await self.raw.execute(sql, *args, timeout=self._limit_s)
