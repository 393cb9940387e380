"""Tracks the connections of one port: counts and limits them and enforces their deadlines."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from qvdnode.runtime.clock import Clock
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.telemetry.metrics import Counter, Gauge
from qvdnode.telemetry.repeated_events import RepeatedEvents
from qvdnode.tls.core.trim_trigger import TrimTrigger
from qvdnode.tls.core.unauthenticated import UnauthenticatedConnections

WATCH_EVERY_S: Final = 0.5
TRIM_EVERY: Final = 200
"""Closed connections per trim: about 8 MiB, which block the loop for 2 to 3 ms."""


class PortConnection(Protocol):
    """A connection as its port sees it."""

    deadline_s: float
    """When to call `time_up`, by the monotonic clock."""

    @property
    def source(self) -> str:
        """The address of the other end."""
        ...

    def time_up(self) -> None:
        """Handle a deadline that has passed."""
        ...

    def drop(self) -> None:
        """Close at once."""
        ...

    def __hash__(self) -> int:
        """Connections are compared by identity."""
        ...


C = TypeVar("C", bound=PortConnection)


@dataclass(frozen=True, slots=True)
class PortLimits:
    """Limits of one port."""

    unauthenticated_per_source: int
    unauthenticated_total: int
    connections_max: int


@dataclass(frozen=True, slots=True)
class PortMetrics:
    """Metrics of one port."""

    connections: Gauge
    unauthenticated: Gauge
    dropped: Counter


class PortConnections(Generic[C]):
    """The connections of one port."""

    def __init__(
        self,
        limits: PortLimits,
        metrics: PortMetrics,
        events: RepeatedEvents,
        clock: Clock,
        trim_memory: Callable[[], None],
    ) -> None:
        self.events = events
        self._limits = limits
        self._metrics = metrics
        self._clock = clock
        self._trim_memory = trim_memory
        self._trim_trigger = TrimTrigger(step=TRIM_EVERY)
        self._connections: set[C] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._unauthenticated = UnauthenticatedConnections(
            per_source_max=limits.unauthenticated_per_source, total_max=limits.unauthenticated_total
        )

    def __len__(self) -> int:
        """Number of open connections."""
        return len(self._connections)

    def all(self) -> tuple[C, ...]:
        """The open connections."""
        return tuple(self._connections)

    def has_room(self) -> bool:
        """Whether to accept another one; one above the limit is accepted and closed at once."""
        return len(self._connections) <= self._limits.connections_max

    def opened(self, connection: C) -> None:
        """Count a new connection; closes one if there are too many."""
        self._connections.add(connection)
        self._trim_trigger.opened(len(self._connections))
        self._empty.clear()
        self._metrics.connections.inc()
        if len(self._connections) > self._limits.connections_max:
            self._drop(connection)
        else:
            self.unauthenticated(connection)

    def unauthenticated(self, connection: C) -> None:
        """Count a connection as without a login; closes the oldest of too many."""
        # The oldest is closed, not the new one: whoever fills the table with silent connections
        # would otherwise keep everybody out.
        stalled = self._unauthenticated.add(connection, connection.source)
        self._metrics.unauthenticated.set(len(self._unauthenticated))
        if stalled is not None:
            self._drop(stalled)  # type: ignore[arg-type]  # the table returns what was added

    def moved(self, connection: C, before: str) -> None:
        """Count a connection by its client's address; `before` was its load balancer's."""
        self._unauthenticated.remove(connection, before)
        self.unauthenticated(connection)

    def authenticated(self, connection: C) -> None:
        """Stop counting a connection that has logged in, or whose login is being checked."""
        self._unauthenticated.remove(connection, connection.source)
        self._metrics.unauthenticated.set(len(self._unauthenticated))

    def lost(self, connection: C) -> None:
        """Remove a connection that is gone."""
        self.authenticated(connection)
        if connection in self._connections:
            self._connections.remove(connection)
            self._metrics.connections.dec()
            if self._trim_trigger.closed(len(self._connections)):
                self._trim_memory()
        if not self._connections:
            self._empty.set()

    async def watch(self) -> None:
        """Call `time_up` of connections whose deadline has passed, until cancelled."""
        while True:
            await self._clock.sleep(WATCH_EVERY_S)
            now_s = self._clock.monotonic_s()
            # One pass over all in place of a timer for each: there are thousands, and their
            # deadlines move with every request.
            for connection in tuple(self._connections):
                if connection.deadline_s <= now_s:
                    connection.time_up()
            self.events.flush()

    async def emptied(self, limit_s: float) -> None:
        """Wait until all are closed; those that are left after the limit are dropped."""
        try:
            async with TimeLimit(limit_s):
                await self._empty.wait()
        except TimeoutError:
            for connection in tuple(self._connections):
                connection.drop()
            # A dropped connection is lost in a later iteration of the loop.
            await self._empty.wait()

    def _drop(self, connection: C) -> None:
        self._metrics.dropped.inc()
        self.events.note("connection_dropped", connection.source, "too many without a login")
        connection.drop()
