"""How long to wait before dialling again after a dropped link: growing, bounded, jittered."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays of one row of attempts."""

    first_s: float = 0.25
    longest_s: float = 10.0
    give_up_s: float = 600.0
    """How long after the drop the client stops trying; 0 never tries."""

    def __post_init__(self) -> None:
        """Refuse what would never wait or never grow."""
        if not 0 < self.first_s <= self.longest_s:
            raise ValueError("first_s must be above 0 and at most longest_s")

    def delay_s(self, attempt: int, rng: "random.Random") -> float:
        """Seconds before attempt 0, 1, 2...; jitter keeps many clients from coming at once."""
        full = min(self.longest_s, self.first_s * 2.0 ** min(attempt, 32))
        return full * rng.uniform(0.5, 1.0)
