"""One transaction, with database errors translated to FarmErrors."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import asyncpg

from qvdnode.db.raw import RawConnection, RawTransaction
from qvdnode.db.translation import AWAY, CommitUnknown, translate
from qvdnode.model.errors import Invalid, Unavailable
from qvdnode.runtime.time_limit import TimeLimit

log = logging.getLogger(__name__)


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Translate database errors to FarmErrors; bugs and cancellations pass through."""
    try:
        yield
    except (
        OSError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
    ) as error:
        translated = translate(error)
        if translated is None:
            raise
        if isinstance(translated, Invalid):
            # Input is checked earlier, so this is a missing check: the driver's text tells which.
            log.warning("database_refused_value", extra={"because": str(error)})
        raise translated from error


class Transaction:
    """The statements of one transaction. Made by `Database.transaction`."""

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


class TransactionScope:
    """Commits at the end, or rolls back after an error. Made by `Database.transaction`."""

    def __init__(self, raw: RawConnection, transaction: RawTransaction, limit_s: float) -> None:
        self._raw = raw
        self._transaction = transaction
        self._limit_s = limit_s

    async def __aenter__(self) -> Transaction:
        """Begin; returns the transaction."""
        return Transaction(self._raw, self._limit_s)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raises CommitUnknown when the connection dies while committing."""
        if error is None:
            await self._commit()
        elif isinstance(error, Unavailable | asyncio.CancelledError) or self._raw.is_closed():
            return  # the connection is closed, so the server rolls back
        else:
            with guarded():
                async with TimeLimit(self._limit_s):
                    await self._transaction.rollback()

    async def _commit(self) -> None:
        try:
            with guarded():
                async with TimeLimit(self._limit_s):
                    await self._transaction.commit()
        except Unavailable as error:
            raise CommitUnknown(AWAY) from error
