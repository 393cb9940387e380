"""What a user sees of a desktop: its entry in a listing, and why its session ended."""

from dataclasses import dataclass

from qvdnode.model.ids import VmId
from qvdnode.model.transfer import Transfer
from qvdnode.model.vm_state import DisplayState, WireState


@dataclass(frozen=True, slots=True)
class DesktopEntry:
    """One row of list_of_vm or list_of_applications."""

    id: VmId
    name: str
    state: WireState
    blocked: bool
    is_application: bool
    files: Transfer = Transfer.BOTH
    """Which way the user may move files; clients of QVD are not told."""


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """The state of a desktop, for a user whose session has ended."""

    state: WireState
    display: DisplayState
    viewer: bool
    """Whether a client is attached now."""
    because: str
    """Why the desktop ended or ends; empty while it runs."""
    failed: bool
    """Whether it ended without a request to end it."""

    @property
    def is_known(self) -> bool:
        """Whether it says why the session ended; if not, the display has not reported yet."""
        return bool(self.because) or self.viewer or self.display is DisplayState.SUSPENDED
