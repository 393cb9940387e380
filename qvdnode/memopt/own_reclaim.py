"""Counts for how long processes of the node have pushed memory to swap (see core/stall_window)."""

from collections.abc import Iterator
from contextlib import contextmanager

from qvdnode.runtime.clock import Clock


class OwnReclaim:
    """Shared by those who push and by who reads the host's pressure."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._running = 0
        self._since_s = 0.0
        self._total_s = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time of the block; blocks that overlap count once."""
        if self._running == 0:
            self._since_s = self._clock.monotonic_s()
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            if self._running == 0:
                self._total_s += self._clock.monotonic_s() - self._since_s

    def read(self) -> tuple[float, float]:
        """The time now, and the seconds counted by now."""
        now_s = self._clock.monotonic_s()
        return now_s, self._total_s + (now_s - self._since_s if self._running else 0.0)
