"""A queue with round-robin between sources, each with one turn at a time. Pure."""

from collections import OrderedDict, deque
from typing import Final, Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Waiters by source; the source that has waited longest for a turn is first.

    A waiter waits for at most one turn of each other source, however many waiters that source has.
    """

    def __init__(self, *, at_once: int) -> None:
        """`at_once` sources may have a turn at the same time."""
        self._at_once: Final = at_once
        self._waiting: OrderedDict[str, deque[T]] = OrderedDict()
        self._running: set[str] = set()

    def enter(self, source: str, waiter: T) -> None:
        """Add a waiter behind the others of this source."""
        self._waiting.setdefault(source, deque()).append(waiter)

    def withdraw(self, source: str, waiter: T) -> None:
        """Remove a waiter that has not had its turn."""
        waiting = self._waiting[source]
        waiting.remove(waiter)
        if not waiting:
            del self._waiting[source]

    def begin_next(self) -> T | None:
        """Give the next turn and return its waiter; None when no one may begin now."""
        if len(self._running) >= self._at_once:
            return None
        for source, waiting in self._waiting.items():
            if source not in self._running:
                self._running.add(source)
                waiter = waiting.popleft()
                if waiting:
                    self._waiting.move_to_end(source)
                else:
                    del self._waiting[source]
                return waiter
        return None

    def end(self, source: str) -> None:
        """End the source's turn."""
        self._running.remove(source)

    def waiting(self, source: str) -> int:
        """Return how many of this source wait."""
        return len(self._waiting.get(source, ()))

    def __len__(self) -> int:
        """How many sources wait or have a turn."""
        return len(self._waiting.keys() | self._running)
