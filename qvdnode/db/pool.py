"""The connection pool: tracks whether the database is available, and reconnects.

asyncpg's pool is not used: it resets a connection with a round trip after every use, starts a task
per acquisition, and neither notices a server that became read-only nor one that is gone.
"""

import asyncio
import contextlib
import logging
import math
import random
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, Self, TypeVar

import asyncpg

from qvdnode.db.checkout import Checkout
from qvdnode.db.dsn import single_host_dsns
from qvdnode.db.hosts import Hosts
from qvdnode.db.raw import RawConnection as Raw
from qvdnode.db.raw import RawTransaction
from qvdnode.db.settings import DatabaseSettings
from qvdnode.db.transaction import Transaction, TransactionScope, guarded
from qvdnode.db.translation import AWAY, BUSY, ConnectionBroken, Unanswered
from qvdnode.model.errors import FarmError, Unavailable
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.telemetry.metrics import Counter, Gauge

log = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE_S: Final = 1.0
"""How long a caller waits for a new connection. While the database is away callers fail at once,
except one per this time, which tries to connect."""
QUEUE_S: Final = 5.0
"""How long a caller waits while all connections are in use."""
HEAL_EVERY_S: Final = 0.5
GRACE_S: Final = 1.0
"""The client's limit of a statement beyond the server's own."""

TIMELINE: Final = "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
"""A server that is promoted begins another timeline. Any role may ask for it."""

AVAILABLE = Gauge("qvdnode_database_available", "1 while the database answers")
FAILED_OVER = Counter(
    "qvdnode_database_failovers", "Connections that found a server on another timeline"
)
LOST = Counter("qvdnode_database_connections_lost_total", "Connections found broken")


class Database:
    """A pool of connections to the farm's database."""

    def __init__(
        self, dsn: str, settings: DatabaseSettings, clock: Clock, rng: random.Random
    ) -> None:
        self._settings = settings
        self._rng = rng
        self._hosts = self._hosts_of(dsn)
        self._clock = clock
        self._limit_s = settings.statement_limit_s + GRACE_S
        self._slots = asyncio.Semaphore(settings.connections_max)
        self._idle: list[Raw] = []
        self._busy: set[Raw] = set()
        self._expired: set[Raw] = set()
        self._apart: weakref.WeakSet[Raw] = weakref.WeakSet()
        self._available = True
        self._try_again_at = 0.0
        self._back_at: float | None = None
        self._timeline: str | None = None
        self._away = asyncio.Event()
        self._closed = False

    @classmethod
    async def open(
        cls, dsn: str, settings: DatabaseSettings, clock: Clock, rng: random.Random
    ) -> Self:
        """A pool that has tried to connect; an absent database is not an error, see `available`.

        Raises BadConfig for a DSN that makes no sense.
        """
        database = cls(dsn, settings, clock, rng)
        await database._heal_once()
        return database

    @property
    def available(self) -> bool:
        """Whether the database answered when it was last asked."""
        return self._available

    @property
    def back_for_s(self) -> float:
        """Time since the database came back; infinite if it never was away.

        A failover counts, also one so quick that nobody has missed the database: a standby may have
        been promoted that lacks the last leases.
        """
        return math.inf if self._back_at is None else self._clock.monotonic_s() - self._back_at

    async def connect_apart(self) -> Raw:
        """Return a new connection that is not the pool's; the caller terminates it.

        Raises Unavailable.
        """
        raw = await self._hosts.connect()
        self._apart.add(raw)
        return raw

    def lead_to(self, dsn: str) -> None:
        """Use another database from now on, which holds the same farm; raises BadConfig.

        What is being done in the first one may end there. Its leases were not renewed for a
        moment, so this counts as coming back, see `back_for_s`.
        """
        self._hosts = self._hosts_of(dsn)
        self._expire()
        for raw in tuple(self._apart):
            raw.terminate()
        self._back_at = self._clock.monotonic_s()
        self._timeline = None
        self._try_again_at = 0.0

    def _hosts_of(self, dsn: str) -> Hosts:
        dsns = list(single_host_dsns(dsn))
        self._rng.shuffle(dsns)  # so that not all nodes of a farm begin with the same host
        return Hosts(
            dsns,
            connect_limit_s=self._settings.connect_limit_s,
            statement_limit_s=self._settings.statement_limit_s,
        )

    async def run(self) -> None:
        """Try to reconnect while the database is away, until cancelled."""
        while True:
            await self._away.wait()
            if not await self._heal_once():
                await self._clock.sleep(HEAL_EVERY_S)

    async def close(self) -> None:
        """Close all connections, also those in use."""
        self._closed = True
        for connection in (*self._idle, *self._busy):
            connection.terminate()
        self._idle.clear()

    async def fetch(
        self, sql: str, *args: object, idempotent: bool = False
    ) -> list[asyncpg.Record]:
        """All rows. An idempotent statement is sent once more when its connection was dead."""
        return await self._with(
            lambda raw: raw.fetch(sql, *args, timeout=self._limit_s), idempotent=idempotent
        )

    async def fetchrow(
        self, sql: str, *args: object, idempotent: bool = False
    ) -> asyncpg.Record | None:
        """The first row, or None."""
        return await self._with(
            lambda raw: raw.fetchrow(sql, *args, timeout=self._limit_s), idempotent=idempotent
        )

    async def fetchval(self, sql: str, *args: object, idempotent: bool = False) -> Any:  # noqa: ANN401 - a column holds anything
        """The first column of the first row, or None."""
        return await self._with(
            lambda raw: raw.fetchval(sql, *args, timeout=self._limit_s), idempotent=idempotent
        )

    async def execute(self, sql: str, *args: object, idempotent: bool = False) -> str:
        """Run a statement and return its command tag, such as `DELETE 1`."""
        return await self._with(
            lambda raw: raw.execute(sql, *args, timeout=self._limit_s), idempotent=idempotent
        )

    @contextlib.asynccontextmanager
    async def transaction(
        self, *, isolation: str = "read_committed", limit_s: float | None = None
    ) -> AsyncIterator[Transaction]:
        """A transaction, committed at the end of the scope, rolled back by any error.

        `limit_s` lifts the time limit of its statements. Raises CommitUnknown when the connection
        dies while committing.
        """
        granted_s = self._limit_s if limit_s is None else limit_s + GRACE_S
        raw, transaction = await self._begin(isolation)
        with Checkout(raw, self._put_back):
            async with TransactionScope(raw, transaction, granted_s) as tx:
                if limit_s is not None:
                    await tx.execute(f"SET LOCAL statement_timeout = {limit_s * 1000:.0f}")
                yield tx

    async def _begin(self, isolation: str) -> tuple[Raw, RawTransaction]:
        try:
            return await self._begin_once(isolation)
        except ConnectionBroken:
            return await self._begin_once(isolation)

    async def _begin_once(self, isolation: str) -> tuple[Raw, RawTransaction]:
        with contextlib.ExitStack() as undo:
            raw = undo.enter_context(Checkout(await self._take(), self._put_back))
            transaction = raw.transaction(isolation=isolation)  # type: ignore[arg-type]  # a Literal
            with guarded():
                async with TimeLimit(self._limit_s):
                    await transaction.start()
            undo.pop_all()
        return raw, transaction

    async def _with(self, use: Callable[[Raw], Awaitable[T]], *, idempotent: bool) -> T:
        try:
            return await self._once(use)
        except ConnectionBroken:
            if not idempotent:
                raise
            return await self._once(use)

    async def _once(self, use: Callable[[Raw], Awaitable[T]]) -> T:
        with Checkout(await self._take(), self._put_back) as raw, guarded():
            return await use(raw)

    async def _take(self) -> Raw:
        if not self._available and not self._may_try():
            raise Unavailable(AWAY)
        await self._take_slot()
        with contextlib.ExitStack() as undo:
            undo.callback(self._slots.release)
            raw = self._idle_one() or await self._connect()
            undo.pop_all()
        self._busy.add(raw)
        return raw

    async def _take_slot(self) -> None:
        if not self._slots.locked():
            await self._slots.acquire()
            return
        try:
            async with TimeLimit(QUEUE_S):
                await self._slots.acquire()
        except TimeoutError as error:
            raise Unavailable(BUSY) from error

    def _put_back(self, raw: Raw, error: BaseException | None) -> None:
        """Take a connection back; close it if it failed or its server is gone."""
        self._busy.discard(raw)
        self._slots.release()
        # after a FarmError the connection is usable; after any other error its state is unknown
        fine = error is None or (
            isinstance(error, FarmError) and not isinstance(error, Unavailable)
        )
        if isinstance(error, ConnectionBroken | Unanswered):
            LOST.inc()
            self._expire()
        if not fine or self._closed or raw in self._expired or raw.is_closed():
            self._expired.discard(raw)
            raw.terminate()
            return
        self._idle.append(raw)

    def _expire(self) -> None:
        """Discard all connections after one broke, since they lead to the same server."""
        self._expired.update(self._busy)
        for raw in self._idle:
            raw.terminate()
        self._idle.clear()

    def _idle_one(self) -> Raw | None:
        while self._idle:
            raw = self._idle.pop()
            if not raw.is_closed():
                return raw
        return None

    async def _connect(self) -> Raw:
        if self._closed:
            raise Unavailable("This node is stopping.")
        try:
            async with TimeLimit(PATIENCE_S):
                raw = await self._newest()
        except (Unavailable, TimeoutError) as error:
            self._set_available(now=False)
            raise Unavailable(AWAY) from error
        self._set_available(now=True)
        return raw

    async def _newest(self) -> Raw:
        """A connection to where the pool leads when it is there."""
        while True:
            hosts = self._hosts
            raw = await hosts.connect()
            with contextlib.ExitStack() as undo:
                undo.callback(raw.terminate)
                timeline = await _timeline(raw, self._settings.connect_limit_s)
                if hosts is self._hosts:
                    undo.pop_all()
                    self._note_timeline(timeline)
                    return raw

    def _note_timeline(self, timeline: str | None) -> None:
        """A new connection leads to a server on that timeline; None if it has none to tell."""
        before = self._timeline
        if timeline is None or timeline == before:
            return
        self._timeline = timeline
        if before is not None:
            FAILED_OVER.inc()
            self._back_at = self._clock.monotonic_s()
            self._expire()
            log.warning("database_failed_over", extra={"from": before, "to": timeline})

    async def _heal_once(self) -> bool:
        """Try all hosts without the callers' time limit."""
        try:
            self._idle.append(await self._newest())
        except Unavailable as error:
            log.info("database_not_found", extra={"because": str(error.__cause__)})
            self._set_available(now=False)
            return False
        self._set_available(now=True)
        return True

    def _may_try(self) -> bool:
        now = self._clock.monotonic_s()
        if now < self._try_again_at:
            return False
        self._try_again_at = now + PATIENCE_S
        return True

    def _set_available(self, *, now: bool) -> None:
        changed = self._available is not now
        self._available = now
        AVAILABLE.set(int(now))
        if now:
            if changed:
                self._back_at = self._clock.monotonic_s()
            self._away.clear()
        else:
            self._try_again_at = self._clock.monotonic_s() + PATIENCE_S
            self._away.set()
        if changed:
            log.log(
                logging.INFO if now else logging.WARNING,
                "database_back" if now else "database_away",
            )


async def _timeline(raw: Raw, limit_s: float) -> str | None:
    """Timeline of the server; None if it knows no timelines. Raises Unavailable when it is gone."""
    try:
        with guarded():
            found: str | None = await raw.fetchval(TIMELINE, timeout=limit_s)
    except Unavailable:
        raise
    except (FarmError, asyncpg.PostgresError) as error:
        log.debug("database_timeline_unknown", extra={"because": str(error)})
        return None
    return found
