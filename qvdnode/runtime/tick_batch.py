"""Runs callbacks together at the end of an event loop iteration.

One iteration delivers the input of many connections. To answer each at once would wake its peer
process once per answer. Answers that are sent together find the peer awake already, and several
for one connection become one write.
"""

import asyncio
from collections.abc import Callable


class TickBatch:
    """Collects callbacks for the end of the current loop iteration."""

    __slots__ = ("_due",)

    def __init__(self) -> None:
        self._due: list[Callable[[], None]] = []

    def call(self, work: Callable[[], None]) -> None:
        """Call `work` at the end of this iteration."""
        if not self._due:
            asyncio.get_running_loop().call_soon(self._run)
        self._due.append(work)

    def _run(self) -> None:
        due, self._due = iter(self._due), []
        try:
            for work in due:
                work()
        finally:
            for work in due:  # one has raised: run the others in the next iteration
                self.call(work)
