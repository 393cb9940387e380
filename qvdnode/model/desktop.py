"""What a user is shown of a desktop: in a listing, and when its session has ended."""

from dataclasses import dataclass

from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import DisplayState, WireState


@dataclass(frozen=True, slots=True)
class DesktopEntry:
    """One row of list_of_vm or list_of_applications."""

    id: VmId
    name: str
    state: WireState
    blocked: bool
    is_application: bool


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """What there is to say about a desktop to a user whose session has ended."""

    state: WireState
    display: DisplayState
    viewer: bool
    """Whether a client is attached now."""
    because: str
    """Why the desktop ended or ends; empty while it runs."""
    failed: bool
    """Whether nobody wanted it to end."""

    @property
    def is_known(self) -> bool:
        """Whether it says why the session ended; otherwise the display has not told yet."""
        return bool(self.because) or self.viewer or self.display is DisplayState.SUSPENDED
