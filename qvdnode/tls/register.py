"""All connections of one port: counted from their first moment, bounded, watched for deadlines."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from qvdnode.runtime.clock import Clock
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.telemetry.metrics import Counter, Gauge
from qvdnode.telemetry.repeated_events import RepeatedEvents
from qvdnode.tls.core.ebb import Ebb
from qvdnode.tls.core.unfinished import Unfinished

WATCH_EVERY_S: Final = 0.5
GIVE_BACK_EVERY: Final = 200
"""Connections that ended: some 8 MiB, for which the loop stands still for 2 or 3 ms."""


class Watched(Protocol):
    """A connection as its register sees it."""

    deadline_s: float
    """When `time_up` is to be called, by the monotonic clock."""

    @property
    def source(self) -> str:
        """The address of the other end."""
        ...

    def time_up(self) -> None:
        """The deadline has passed."""
        ...

    def drop(self) -> None:
        """End at once."""
        ...

    def __hash__(self) -> int:
        """It is itself and no other."""
        ...


C = TypeVar("C", bound=Watched)


@dataclass(frozen=True, slots=True)
class PortLimits:
    """How many connections a port holds."""

    unfinished_per_source: int
    unfinished_total: int
    connections_max: int


@dataclass(frozen=True, slots=True)
class PortMetrics:
    """Where a port counts."""

    connections: Gauge
    unfinished: Gauge
    dropped: Counter


class Register(Generic[C]):
    """The connections of one port."""

    def __init__(
        self,
        limits: PortLimits,
        metrics: PortMetrics,
        events: RepeatedEvents,
        clock: Clock,
        give_back: Callable[[], None],
    ) -> None:
        self.events = events
        self._limits = limits
        self._metrics = metrics
        self._clock = clock
        self._give_back = give_back
        self._ebb = Ebb(step=GIVE_BACK_EVERY)
        self._connections: set[C] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._unfinished = Unfinished(
            per_source_max=limits.unfinished_per_source, total_max=limits.unfinished_total
        )

    def __len__(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    def all(self) -> tuple[C, ...]:
        """The open connections."""
        return tuple(self._connections)

    def has_room(self) -> bool:
        """Whether another one may be accepted; one beyond the limit is, and then ended."""
        return len(self._connections) <= self._limits.connections_max

    def opened(self, connection: C) -> None:
        """Count a new connection; the oldest of too many goes."""
        self._connections.add(connection)
        self._ebb.rose(len(self._connections))
        self._empty.clear()
        self._metrics.connections.inc()
        if len(self._connections) > self._limits.connections_max:
            self._drop(connection)
        else:
            self.unproven(connection)

    def unproven(self, connection: C) -> None:
        """Nobody has logged in on it yet; the oldest of too many such connections goes."""
        stalled = self._unfinished.add(connection, connection.source)
        self._metrics.unfinished.set(len(self._unfinished))
        if stalled is not None:
            self._drop(stalled)  # type: ignore[arg-type]  # it keeps what it was given

    def moved(self, connection: C, before: str) -> None:
        """Count it by its client's address from now on; `before` was the load balancer's."""
        self._unfinished.remove(connection, before)
        self.unproven(connection)

    def proven(self, connection: C) -> None:
        """It is somebody known, or may well be."""
        self._unfinished.remove(connection, connection.source)
        self._metrics.unfinished.set(len(self._unfinished))

    def lost(self, connection: C) -> None:
        """Forget it."""
        self.proven(connection)
        if connection in self._connections:
            self._connections.remove(connection)
            self._metrics.connections.dec()
            if self._ebb.fell(len(self._connections)):
                self._give_back()
        if not self._connections:
            self._empty.set()

    async def watch(self) -> None:
        """Call `time_up` of connections whose deadline has passed, until cancelled."""
        while True:
            await self._clock.sleep(WATCH_EVERY_S)
            now_s = self._clock.monotonic_s()
            for connection in tuple(self._connections):
                if connection.deadline_s <= now_s:
                    connection.time_up()
            self.events.flush()

    async def emptied(self, limit_s: float) -> None:
        """Wait until all have gone; those that are left after the limit are dropped."""
        try:
            async with TimeLimit(limit_s):
                await self._empty.wait()
        except TimeoutError:
            for connection in tuple(self._connections):
                connection.drop()
            await self._empty.wait()

    def _drop(self, connection: C) -> None:
        self._metrics.dropped.inc()
        self.events.note("connection_dropped", connection.source, "too many without a login")
        connection.drop()
