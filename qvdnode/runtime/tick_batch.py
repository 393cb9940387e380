"""Work that is put off to the end of the loop's turn.

A turn of the loop brings what many connections have received. Answering each at once wakes its
peer, lets it fall asleep again, and wakes it once more for the next; answers that leave together
find their peers awake, and several for one connection become one.
"""

import asyncio
from collections.abc import Callable


class TickBatch:
    """What is due once all that this turn of the loop brought has been looked at."""

    __slots__ = ("_due",)

    def __init__(self) -> None:
        self._due: list[Callable[[], None]] = []

    def call(self, work: Callable[[], None]) -> None:
        """Have `work` called at the end of the turn."""
        if not self._due:
            asyncio.get_running_loop().call_soon(self._run)
        self._due.append(work)

    def _run(self) -> None:
        due, self._due = iter(self._due), []
        try:
            for work in due:
                work()
        finally:
            for work in due:  # one has raised, which is not the others' fault
                self.call(work)
