"""Who wants something of a VM: one seat, one waiting client, and requests to start or stop. Pure.

Everybody is a number that the shell gave; the shell knows how to reach them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from qvdnode.model.errors import Conflict, FarmError
from qvdnode.vm.core.effects import Answer, DropClient, Effect, Evict, Refuse, SeatClient, Tell


@dataclass(slots=True)
class Clients:
    """The newest client wins: it replaces the one that waits, then the one that is attached."""

    waiting: int | None = None
    """The client that waits for the display."""
    seated: int | None = None
    """The client that is attached."""
    starters: list[int] = field(default_factory=list)
    """Requests to start the VM."""
    stoppers: list[int] = field(default_factory=list)
    """Requests to stop it."""
    deferred: list[Refuse] = field(default_factory=list)
    """Errors that are sent once what was begun has been undone."""

    @property
    def idle(self) -> bool:
        """Whether nobody waits for an answer."""
        nobody = self.waiting is None and not self.starters
        return nobody and not self.stoppers and not self.deferred

    def apply(self, client: int) -> list[Effect]:
        """Let a newer client wait in place of an older one."""
        older, self.waiting = self.waiting, client
        if older is None:
            return []
        error = Conflict("A newer connection to this desktop took the place of this one.")
        return [Refuse(older, error)]

    def withdraw(self, client: int) -> list[Effect]:
        """Forget a client that went away before it dialled."""
        if self.waiting == client:
            self.waiting = None
        if self.seated == client:
            self.seated = None
        self.deferred = [refuse for refuse in self.deferred if refuse.request != client]
        return [DropClient(client)]

    def leave(self, client: int) -> list[Effect]:
        """Free the seat of a client whose stream has ended; nothing if it is not attached."""
        if self.seated != client:
            return []
        self.seated = None
        return [DropClient(client)]

    def evict(self, reason: str) -> list[Effect]:
        """Close the stream of the attached client; nothing if there is none."""
        client, self.seated = self.seated, None
        return [] if client is None else [Evict(client, reason)]

    def seat(self, sentence: str) -> list[Effect]:
        """Attach the client that waits, after one more sentence."""
        client, self.waiting = self.waiting, None
        if client is None:
            return []
        self.seated = client
        return [Tell(client, sentence), SeatClient(client)]

    def tell(self, sentence: str) -> list[Effect]:
        """Show everybody who waits for the VM what is going on."""
        waiting = [] if self.waiting is None else [self.waiting]
        return [Tell(request, sentence) for request in (*waiting, *self.starters)]

    def refuse(self, error: FarmError) -> bool:
        """Give up for everybody who waits; whether anybody's answer is deferred now."""
        waiting = [] if self.waiting is None else [self.waiting]
        self.deferred += [Refuse(request, error) for request in (*waiting, *self.starters)]
        self.waiting = None
        self.starters.clear()
        return bool(self.deferred)

    def send_deferred(self) -> list[Effect]:
        """Send the errors that were deferred."""
        deferred, self.deferred = self.deferred, []
        return [*deferred]

    def answer_starters(self) -> list[Effect]:
        """The VM runs."""
        starters, self.starters = self.starters, []
        return _answers(starters)

    def answer_stoppers(self) -> list[Effect]:
        """The VM is stopped."""
        stoppers, self.stoppers = self.stoppers, []
        return _answers(stoppers)


def _answers(requests: Iterable[int]) -> list[Effect]:
    return [Answer(request) for request in requests]
