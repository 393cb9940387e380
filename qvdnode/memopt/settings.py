"""Settings of the host's memory."""

from dataclasses import dataclass
from typing import Final

from qvdnode.memopt.core.merging import Merging

MAX_OVERCOMMIT: Final = 16.0
WHOLE_PCT: Final = 100
MAX_ZRAM_PCT: Final = 400
"""More than ever fits: about a third of it has to be in memory."""


@dataclass(frozen=True, slots=True)
class MemorySettings:
    """The `[memory]` section: how much of the host's memory desktops may have."""

    host_reserve_mib: int = 1024
    """Kept back for the host, the node and the database."""
    overcommit: float = 1.0
    """How often the rest may be promised. 1 never runs out; more counts on desktops that do not use
    what they were given."""
    available_floor_mib: int = 256
    """With less than this really available nothing starts, whatever was promised."""
    limit_mib: int = 0
    """How much of the host's memory this node and its desktops may use; 0: all of it."""
    credit_pct: int = 50
    """How much of what hibernation and merging are measured to save is promised again."""
    hibernate: bool = True
    """Whether desktops that nobody uses may be frozen and their memory pushed to swap."""
    prefetch: bool = True
    """Whether what a desktop used after its last thaw is read back at once at the next one."""
    live_reclaim: bool = True
    """Whether memory that desktops in use have not touched for long may be pushed to swap, in small
    steps, while less than `warm_pct` is available."""
    warm_pct: int = 40
    """While so much of the memory is available, unused desktops stay awake."""
    squeeze_pct: int = 10
    """With less available, desktops are hibernated before their flavour's time."""
    busy_pct: int = 5
    """An unused desktop that takes more of one core stays awake, unless memory runs short."""
    zram_pct: int = 0
    """Size of a compressed swap device that the node makes, in percent of the memory. What is in it
    takes about a third of its size in memory. 0: none."""
    ksm: Merging = Merging.TENANT
    """Which desktops let the kernel merge equal memory: `off`, `tenant` (one tenant's at a time) or
    `all`. Their users can find out what others of them have in memory: see docs/security.md."""
    ksm_cpu_pct: int = 20
    """How much of one core the search for equal memory may take."""

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        shares = ("credit_pct", "warm_pct", "squeeze_pct", "busy_pct")
        for name in shares:
            if not 0 <= getattr(self, name) <= WHOLE_PCT:
                raise ValueError(f"{name} must be 0 to {WHOLE_PCT}")
        if self.squeeze_pct > self.warm_pct:
            raise ValueError("squeeze_pct must not be greater than warm_pct")
        if not 0 <= self.zram_pct <= MAX_ZRAM_PCT:
            raise ValueError(f"zram_pct must be 0 to {MAX_ZRAM_PCT}")
        if not 1 <= self.ksm_cpu_pct <= WHOLE_PCT:
            raise ValueError(f"ksm_cpu_pct must be 1 to {WHOLE_PCT}")
        if self.limit_mib < 0:
            raise ValueError("limit_mib must not be negative")
        if self.host_reserve_mib < 0 or self.available_floor_mib < 0:
            raise ValueError("host_reserve_mib and available_floor_mib must not be negative")
        if not 0 < self.overcommit <= MAX_OVERCOMMIT:
            raise ValueError(f"overcommit must be greater than 0 and at most {MAX_OVERCOMMIT:g}")
