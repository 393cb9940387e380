"""What the display machine reports to the core of its VM, beside effects. Pure values."""

from dataclasses import dataclass

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import FarmError
from qvdnode.model.vm_state import VmState
from qvdnode.vm.core.effects import Effect


@dataclass(frozen=True, slots=True)
class Situation:
    """What the display machine must know of its VM."""

    vm_id: int
    guest: VmState
    params: DisplayParams
    """Display parameters of the newest client."""
    now_s: float
    wanted: bool = True
    """Whether a client waits for the display or is attached to it."""

    @property
    def unvisited(self) -> bool:
        """Whether the guest runs and no client wants its display."""
        return self.guest is VmState.RUNNING and not self.wanted


@dataclass(frozen=True, slots=True)
class Announced:
    """A sentence for everybody who waits."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Listens:
    """The display waits for a client."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The guest is up, and its display is started for its first client."""


@dataclass(frozen=True, slots=True)
class Suspended:
    """The display was suspended: it has no client any more."""


@dataclass(frozen=True, slots=True)
class Refused:
    """What the waiting client needs has failed; the desktop itself goes on."""

    error: FarmError


@dataclass(frozen=True, slots=True)
class StartFailed:
    """The display could not even be begun."""

    error: FarmError


@dataclass(frozen=True, slots=True)
class Ended:
    """The display is gone for good: the guest must end. No error means that its user logged out."""

    error: FarmError | None


@dataclass(frozen=True, slots=True)
class NotWhole:
    """A part of an adopted guest is missing."""

    error: FarmError


Outcome = Announced | Listens | Prepared | Suspended | Refused | StartFailed | Ended | NotWhole
Results = list[Effect | Outcome]
"""Effects and outcomes in the order in which they must be acted on."""
