"""How many VMs may be brought up at once, by how the host bears it. Pure.

Rule 1: while programs wait for memory or the disk, the number is halved, at most once in ten
seconds, over which the kernel averages its figures; one start at a time always goes on.
Rule 2: after each minute without such a wait there is one more, up to the setting.
Without these figures (PSI) the setting counts alone.
"""

from dataclasses import dataclass, field
from typing import Final

MEMORY_STALL_PCT: Final = 1.0
"""All programs waited for memory at the same time for more of the last ten seconds than this."""
IO_STALL_PCT: Final = 60.0
"""Some program waited for a disk for more of the last ten seconds than this."""
AVERAGED_S: Final = 10.0
CLEAN_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Stalls:
    """How much of the last ten seconds programs of this host waited, in percent."""

    memory_full_pct: float = 0.0
    io_some_pct: float = 0.0

    @property
    def problem(self) -> str | None:
        """Why fewer should start at once, or None."""
        if self.memory_full_pct > MEMORY_STALL_PCT:
            return f"programs waited for memory for {self.memory_full_pct:.0f} % of the time"
        if self.io_some_pct > IO_STALL_PCT:
            return f"programs waited for the disk for {self.io_some_pct:.0f} % of the time"
        return None


@dataclass(slots=True)
class StartPace:
    """The number of starts at once; `most` is what an operator has set."""

    most: int
    at_once: int = field(init=False)
    _since_s: float | None = None
    """When it was changed last, or a stall was seen."""

    def __post_init__(self) -> None:
        """Begin with the setting."""
        self.at_once = self.most

    def hear(self, stalls: Stalls, now_s: float) -> bool:
        """Take the newest figures; whether the number has changed. `now_s` never goes back."""
        before = self.at_once
        passed_s = float("inf") if self._since_s is None else now_s - self._since_s
        if stalls.problem is not None:
            if passed_s >= AVERAGED_S:
                self.at_once = max(self.at_once // 2, 1)
                self._since_s = now_s
        elif self.at_once < self.most and passed_s >= CLEAN_S:
            self.at_once += 1
            self._since_s = now_s
        return self.at_once != before
