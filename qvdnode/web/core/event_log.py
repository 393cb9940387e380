"""The last changes of the farm, so that a reader can go on where it stopped. Pure.

All nodes hear of changes in the same order, by the same keys: a reader can go on at another one.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from qvdnode.model.change import Change

KEPT: Final = 1_000
"""Changes that are kept for readers who come back: about 500 KB."""
DIGITS_MAX: Final = 18


@dataclass(frozen=True, slots=True)
class NumberedChange:
    """A change, and the id by which a reader refers to its place in the log."""

    number: int
    id: str
    change: Change


class EventLog:
    """A bounded log. Its name is new with each process, so that no number is mistaken.

    Numbers are for a place where no change with a key is known: at the begin, or after a gap.
    """

    def __init__(self, name: str, *, kept: int = KEPT) -> None:
        self._name = name
        self._next = 1
        self._changes: deque[NumberedChange] = deque(maxlen=kept)

    def add(self, change: Change) -> NumberedChange:
        """Append a change."""
        own_id = f"{self._name}-{self._next}"
        numbered = NumberedChange(self._next, change.key or own_id, change)
        self._next += 1
        self._changes.append(numbered)
        return numbered

    def forget(self) -> None:
        """Drop all changes, because some were missed: nobody can go on from before."""
        self._changes.clear()
        self._next += 1

    def last_id(self) -> str:
        """Return the id after which everything is new."""
        return f"{self._name}-{self._next - 1}"

    def after(self, last_id: str) -> list[NumberedChange] | None:
        """Return the changes after an id; None if some of them are not known any more."""
        number = self._number_of(last_id)
        first = self._changes[0].number if self._changes else self._next
        if number is None or not first - 1 <= number < self._next:
            return None
        return [change for change in self._changes if change.number > number]

    def _number_of(self, last_id: str) -> int | None:
        for change in reversed(self._changes):
            if change.id == last_id:
                return change.number
        name, _, text = last_id.rpartition("-")
        if name != self._name or not (text.isascii() and text.isdecimal()):
            return None
        return int(text) if len(text) <= DIGITS_MAX else None
