"""The only module that reads the time; all others are given a Clock."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """A source of time."""

    def now(self) -> datetime:
        """The wall clock, in UTC; for people and records, never for measuring."""
        ...

    def monotonic_s(self) -> float:
        """Seconds that only grow, also while the host sleeps; for measuring and for limits."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        ...


class SystemClock:
    """The host's clock."""

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """CLOCK_BOOTTIME: a lease runs out while the host is suspended, too."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running loop."""
        await asyncio.sleep(seconds)
