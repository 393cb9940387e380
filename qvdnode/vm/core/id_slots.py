"""Ranges of host ids for guests: slots of 65,536 ids, counted from one base."""

from qvdnode.model.errors import NodeFull
from qvdnode.model.guest import IdRange


class IdSlots:
    """Gives out ranges, lowest first; a range is never given to two guests."""

    def __init__(self, base: int, slots: int) -> None:
        self._base = base
        self._slots = slots
        self._taken: set[int] = set()

    def take(self) -> IdRange:
        """A range that no guest has; raises NodeFull when there is none."""
        for slot in range(self._slots):
            if slot not in self._taken:
                self._taken.add(slot)
                return self._range(slot)
        raise NodeFull(f"This node is full: all {self._slots} id ranges are in use.")

    def adopt(self, ids: IdRange) -> bool:
        """Mark a range as taken that an earlier process gave out; False if it cannot be ours."""
        slot, odd = divmod(ids.start - self._base, IdRange(0).count)
        if odd or not 0 <= slot < self._slots or slot in self._taken:
            return False
        self._taken.add(slot)
        return True

    def free(self, ids: IdRange) -> None:
        """Take a range back; safe to repeat."""
        self._taken.discard((ids.start - self._base) // IdRange(0).count)

    @property
    def taken(self) -> int:
        """How many ranges are in use."""
        return len(self._taken)

    def _range(self, slot: int) -> IdRange:
        return IdRange(self._base + slot * IdRange(0).count)
