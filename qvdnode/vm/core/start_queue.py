"""Which VMs may be brought up now: so many at once, the others in order of their requests. Pure.

Rule 1: a free slot goes to the ticket that has waited longest.
Rule 2: `leave` gives back a slot or a place in the queue, whichever the ticket has by then.
"""

from dataclasses import dataclass, field

from qvdnode.model.errors import NodeFull
from qvdnode.model.plurals import counted, verb


@dataclass(slots=True)
class StartQueue:
    """Slots and the queue for them. Each request gets a ticket."""

    at_once: int
    queue_max: int
    last_ticket: int = 0
    holders: set[int] = field(default_factory=set)
    """The tickets that have a slot."""
    waiting: list[int] = field(default_factory=list)
    """The tickets that wait, first come first."""

    def enter(self) -> int:
        """A ticket, with a slot if one is free; raises NodeFull when too many wait already."""
        if not self.free and len(self.waiting) >= self.queue_max:
            queued = len(self.waiting)
            wait = f"{counted(queued, 'desktop')} {verb(queued, 'wait')}"
            raise NodeFull(f"This node is full: {wait} to be started.")
        self.last_ticket += 1
        if self.free:
            self.holders.add(self.last_ticket)
        else:
            self.waiting.append(self.last_ticket)
        return self.last_ticket

    def leave(self, ticket: int) -> int | None:
        """Give a slot or a place back; the ticket that gets a slot by that, if one does."""
        if ticket in self.waiting:
            self.waiting.remove(ticket)
            return None
        self.holders.discard(ticket)
        return self._next()

    def resize(self, at_once: int) -> list[int]:
        """Have so many slots from now on; the tickets that get one by that.

        Nobody loses a slot: with fewer of them none is given until enough have come back.
        """
        self.at_once = at_once
        given: list[int] = []
        while (ticket := self._next()) is not None:
            given.append(ticket)
        return given

    def _next(self) -> int | None:
        if not self.waiting or len(self.holders) >= self.at_once:
            return None
        following = self.waiting.pop(0)
        self.holders.add(following)
        return following

    @property
    def free(self) -> int:
        """How many slots can be taken at once."""
        return 0 if self.waiting else max(self.at_once - len(self.holders), 0)
