"""Who is attached to a VM's display and who waits for it: one seat, one waiting client, no more."""

# tested-by: tests/unit/vm/test_fleet.py

import asyncio
from dataclasses import dataclass

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import Conflict, FarmError
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import Generation, VmId
from qvdnode.model.seat import DisplayAddress, Progress, Seat, Viewer


@dataclass(eq=False, frozen=True, slots=True)
class Applicant:
    """A client that waits for the display."""

    order: DesktopOrder
    params: DisplayParams
    viewer: Viewer
    progress: Progress
    answer: asyncio.Future[Seat]


@dataclass(eq=False, frozen=True, slots=True)
class _Seated:
    applicant: Applicant
    ticket: int


class Seating:
    """The newest client wins: it takes the place of the one that waits, then of the seated one."""

    def __init__(self, vm_id: VmId) -> None:
        self._vm_id = vm_id
        self._seated: _Seated | None = None
        self._tickets = 0
        self.waiting: Applicant | None = None

    @property
    def seated(self) -> bool:
        """Whether a client is attached."""
        return self._seated is not None

    def apply(self, applicant: Applicant) -> None:
        """Let a newer client wait in place of an older one."""
        self.refuse(Conflict("A newer connection to this desktop took the place of this one."))
        self.waiting = applicant

    def withdraw(self, applicant: Applicant) -> None:
        """A client went away before it dialled, while it waited or just after it was seated."""
        if self.waiting is applicant:
            self.waiting = None
        if self._seated is not None and self._seated.applicant is applicant:
            self._seated = None

    def seat(self, generation: Generation, address: DisplayAddress) -> None:
        """Let the client that waits dial."""
        applicant = self.waiting
        if applicant is None:
            return
        self.waiting = None
        self._tickets += 1
        self._seated = _Seated(applicant, self._tickets)
        applicant.progress(f"Connecting X session for VM_ID: {self._vm_id}")
        if not applicant.answer.done():
            applicant.answer.set_result(Seat(self._vm_id, generation, address, self._tickets))

    def leave(self, ticket: int) -> bool:
        """A client's stream has ended; False for one that was not attached any more."""
        if self._seated is None or self._seated.ticket != ticket:
            return False
        self._seated = None
        return True

    def evict(self, reason: str) -> bool:
        """Close the stream of the attached client; False if there is none."""
        if self._seated is None:
            return False
        viewer = self._seated.applicant.viewer
        self._seated = None
        viewer.evict(reason)
        return True

    def refuse(self, error: FarmError) -> None:
        """Answer the client that waits with an error."""
        applicant, self.waiting = self.waiting, None
        if applicant is not None and not applicant.answer.done():
            applicant.answer.set_exception(error)

    def tell(self, sentence: str) -> None:
        """Show the waiting client what is going on."""
        if self.waiting is not None:
            self.waiting.progress(sentence)
