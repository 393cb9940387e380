"""What an operator can set about guests; what follows from other settings is in instance.py."""

import os
from dataclasses import dataclass, field

from qvdnode.model.guest import IDS_PER_GUEST


def _cores() -> int:
    return os.cpu_count() or 1


def _starts_for_this_host() -> int:
    # A start is half waiting for the guest's own programs, so two per core keep the cores busy.
    return 2 * _cores()


@dataclass(frozen=True, slots=True)
class VmSettings:
    """Settings of the guests of one node."""

    id_base: int = 0x7000_0000
    """First host id of the guests' ranges; a multiple of 65,536."""
    id_slots: int = 4096
    """How many ranges of 65,536 ids there are, so how many guests can run."""
    starts_at_once: int = field(default_factory=_starts_for_this_host)
    """How many VMs are brought up at the same time; the others wait in a queue. It is halved while
    the host's programs wait for memory or the disk, and rises again by one a minute."""
    redraws_at_once: int = field(default_factory=_cores)
    """How many suspended desktops are drawn for their new clients at the same time."""
    queue_max: int = 1000
    """How many may wait; beyond it the node says that it is full."""
    boot_limit_s: float = 60.0
    """From leaving the queue to a display that listens."""
    session_limit_s: float = 20.0
    """For one run of the session script."""
    attach_limit_s: float = 15.0
    """From a connect to a running VM to a display that listens for it."""
    stop_limit_s: float = 10.0
    """For a guest to end by itself."""
    display_tries: int = 3
    """How often a display is started that ends before it ever had a client."""
    limits_every_s: float = 5.0
    """How often it is measured whether guests have used up their memory, processes or disk."""
    retry_s: float = 1.0
    """First pause after a failed clean-up or write to the database; doubles up to 30 s."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.id_base % IDS_PER_GUEST or self.id_base < IDS_PER_GUEST:
            raise ValueError("id_base must be a multiple of 65536, above the host's own ids")
        if self.id_slots < 1 or self.ids.stop > 2**32 - IDS_PER_GUEST:
            raise ValueError("id_slots must be at least 1 and the ranges must end below 2^32")
        if min(self.starts_at_once, self.redraws_at_once, self.display_tries) < 1:
            raise ValueError("starts_at_once, redraws_at_once, display_tries must be at least 1")
        if self.queue_max < 0:
            raise ValueError("queue_max must not be negative")
        limits = (self.boot_limit_s, self.session_limit_s, self.attach_limit_s, self.stop_limit_s)
        if min(*limits, self.limits_every_s, self.retry_s) <= 0:
            raise ValueError("limits must be over 0 seconds")

    @property
    def ids(self) -> range:
        """All host ids that guests of this node can have."""
        return range(self.id_base, self.id_base + self.id_slots * IDS_PER_GUEST)
