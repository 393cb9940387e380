"""A clock that stands still until a test moves it."""

import asyncio
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 1, tzinfo=UTC)


class ManualClock:
    """Satisfies runtime.clock.Clock; `sleep` returns once `advance` has gone far enough."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._passed_s = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def now(self) -> datetime:
        """The wall clock."""
        return self._start + timedelta(seconds=self._passed_s)

    def monotonic_s(self) -> float:
        """Seconds since the clock was made, and 1000 more, so that nobody counts on zero."""
        return 1000.0 + self._passed_s

    async def sleep(self, seconds: float) -> None:
        """Wait for `advance`."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.Event()
        sleeper = (self._passed_s + seconds, woken)
        self._sleepers.append(sleeper)
        try:
            await woken.wait()
        finally:
            if not woken.is_set():  # it was cancelled
                self._sleepers.remove(sleeper)

    def advance(self, seconds: float) -> None:
        """Let time pass, waking who slept long enough."""
        self._passed_s += seconds
        due = [event for moment, event in self._sleepers if moment <= self._passed_s]
        self._sleepers = [entry for entry in self._sleepers if entry[0] > self._passed_s]
        for event in due:
            event.set()

    @property
    def sleepers(self) -> int:
        """How many tasks sleep on this clock."""
        return len(self._sleepers)
