"""Settings of the host's memory."""

from dataclasses import dataclass
from typing import Final

MAX_OVERCOMMIT: Final = 16.0


@dataclass(frozen=True, slots=True)
class MemorySettings:
    """The `[memory]` section: how much of the host's memory is for desktops."""

    host_reserve_mib: int = 1024
    """Kept back for the host, the node and the database."""
    overcommit: float = 1.0
    """Factor: the memory promised to desktops may be this many times the memory left after the
    reserve. With 1 memory never runs out; a greater value assumes that desktops do not use all of
    their memory."""
    available_floor_mib: int = 256
    """No desktop starts while less than this is available, whatever was promised."""

    def __post_init__(self) -> None:
        """Raise ValueError for negative or too large values."""
        if self.host_reserve_mib < 0 or self.available_floor_mib < 0:
            raise ValueError("host_reserve_mib and available_floor_mib must not be negative")
        if not 0 < self.overcommit <= MAX_OVERCOMMIT:
            raise ValueError(f"overcommit must be greater than 0 and at most {MAX_OVERCOMMIT:g}")
