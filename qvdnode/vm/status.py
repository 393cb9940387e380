"""State of this node's VMs, as values for other packages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import Generation
from qvdnode.model.vm_state import DisplayState, VmState
from qvdnode.vm.core.guest_limits import LimitReached


@dataclass(frozen=True, slots=True)
class FleetLoad:
    """What all VMs of this node use together."""

    guests: int
    promised_mib: int
    """Memory of the flavours of all guests that run or start."""
    starts_at_once: int
    """How many may be brought up at the same time, as the host bears it."""
    starts_queued: int
    starts_free: int
    """How many more could be brought up right now."""


@dataclass(frozen=True, slots=True)
class GuestStatus:
    """A VM that runs, starts or stops on this node."""

    order: DesktopOrder
    state: VmState
    display: DisplayState
    since: datetime
    """When it entered `state`."""
    queue_place: int | None
    """In the start limiter's queue; 1 is next."""
    generation: Generation | None
    viewer: bool
    """Whether a client is attached."""
    error: str | None
    """Why the last start failed, or the desktop ended unexpectedly."""
    end_reason: str | None
    """Why the guest ended or is being ended, for its user; None while it starts or runs."""
    driver: str | None
    """The driver that runs the guest; None while there is none."""
    address: str | None
    """The guest's IPv4 address."""
    steps: Mapping[str, float]
    """Seconds that each step of the start took."""
    unused_since: datetime | None = None
    """Since when its desktop is suspended and nobody wants it; None while somebody does."""
    limits: Sequence[LimitReached] = ()
    """Which of its limits this start has reached."""
    warning: str = ""
    """What makes the guests of its driver worse on this host than they could be; empty: nothing."""
