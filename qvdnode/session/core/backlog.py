"""Session entries that wait to be written: in order, bounded, each end behind its beginning. Pure.

Rule 1: an end is written only to the row of its beginning. If that was dropped or refused, the end
is skipped.
Rule 2: what does not fit is dropped, never what waits already. The row of an end that was dropped
stays open; the next start of the node closes it.
"""

from collections import deque
from dataclasses import dataclass, field

from qvdnode.model.ids import UserId, VmId


@dataclass(frozen=True, slots=True)
class Opened:
    """A client was attached to a display."""

    key: int
    vm_id: VmId
    user_id: UserId
    source: str
    client: str | None


@dataclass(frozen=True, slots=True)
class Closed:
    """The client's stream ended."""

    key: int
    reason: str
    bytes_in: int
    bytes_out: int


Entry = Opened | Closed


@dataclass(slots=True)
class Backlog:
    """What is to be written, and the rows that were."""

    size_max: int
    waiting: deque[Entry] = field(default_factory=deque)
    rows: dict[int, int] = field(default_factory=dict)
    """The row of each session that is open, by its key."""

    def add(self, entry: Entry) -> bool:
        """Let an entry wait; False if it is dropped."""
        if len(self.waiting) < self.size_max:
            self.waiting.append(entry)
            return True
        if isinstance(entry, Closed):
            self.rows.pop(entry.key, None)
        return False

    def next(self) -> Opened | tuple[Closed, int] | None:
        """What to write now, an end with its row; None when nothing is left to write."""
        while self.waiting:
            entry = self.waiting[0]
            if isinstance(entry, Opened):
                return entry
            row = self.rows.get(entry.key)
            if row is not None:
                return entry, row
            self.waiting.popleft()
        return None

    def done(self, row: int | None = None) -> None:
        """The entry is written, or will never be; `row` is the new one of a beginning."""
        entry = self.waiting.popleft()
        if isinstance(entry, Closed):
            self.rows.pop(entry.key, None)
        elif row is not None:
            self.rows[entry.key] = row
