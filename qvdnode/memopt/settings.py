"""Settings of the host's memory."""

from dataclasses import dataclass
from typing import Final

MAX_OVERCOMMIT: Final = 16.0


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

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if self.host_reserve_mib < 0 or self.available_floor_mib < 0:
            raise ValueError("host_reserve_mib and available_floor_mib must not be negative")
        if not 0 < self.overcommit <= MAX_OVERCOMMIT:
            raise ValueError(f"overcommit must be greater than 0 and at most {MAX_OVERCOMMIT:g}")
