"""What was measured of the guests of this node. Pure values."""

from dataclasses import dataclass
from datetime import datetime

from qvdnode.model.guest import GuestMemory
from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import UP, VmState

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class GuestFigures:
    """One guest at the time of the last measurement."""

    vm_id: VmId
    name: str
    user: str
    state: VmState
    viewer: bool
    """Whether a client is attached."""
    unused_since: datetime | None
    """Since when nobody wants it; None while somebody does."""
    grace_s: int
    """How long it may be unused before it is hibernated; 0 for ever."""
    promised_mib: int
    """The memory of its flavour."""
    up_s: float
    """Seconds in its state."""
    memory: GuestMemory
    cpu_pct: float
    """Percent of one core since the measurement before."""

    @property
    def is_young(self) -> bool:
        """Whether it was started just now, and has yet to take the memory that it needs."""
        return self.state not in UP or (self.state is VmState.RUNNING and self.up_s < YOUNG_S)


YOUNG_S = 60.0


@dataclass(frozen=True, slots=True)
class MergeFigures:
    """What the kernel's merging of equal pages saves, and costs."""

    saved_mib: int = 0
    ksmd_cpu_s: float = 0.0
    """Processor time of the kernel's thread since the host's start."""


def cpu_pct(before: GuestMemory | None, now: GuestMemory, seconds: float) -> float:
    """Percent of one core between two measurements; 0 for the first."""
    if before is None or seconds <= 0 or now.cpu_us < before.cpu_us:
        return 0.0
    return (now.cpu_us - before.cpu_us) / seconds / 10_000
