"""How long to wait before dialling again after a dropped link: growing, bounded, jittered."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often and how long one dials again."""

    first_s: float = 0.25
    longest_s: float = 10.0
    give_up_s: float = 600.0
    """How long after the drop the client stops trying; 0 never tries."""
    settled_s: float = 20.0
    """After a stream of this length the link counts as good again: the next drop is a new one."""

    def __post_init__(self) -> None:
        """Refuse what would never wait or never grow."""
        if not 0 < self.first_s <= self.longest_s:
            raise ValueError("first_s must be above 0 and at most longest_s")

    def delay_s(self, attempt: int, rng: "random.Random") -> float:
        """Seconds before attempt 0, 1, 2...; jitter keeps many clients from coming at once."""
        full = min(self.longest_s, self.first_s * 2.0 ** min(attempt, 32))
        return full * rng.uniform(0.5, 1.0)


@dataclass(slots=True)
class Outage:
    """The time since a drop, with all attempts and short-lived streams that followed it.

    A link that comes back and drops at once goes on being the same outage: else a client would
    dial it for ever without a pause.
    """

    backoff: Backoff
    since_s: float
    attempts: int = 0

    def is_over(self, now_s: float) -> bool:
        """Whether it has lasted too long to try once more."""
        return now_s - self.since_s >= self.backoff.give_up_s

    def next_delay_s(self, rng: "random.Random") -> float:
        """Seconds to wait before the next attempt, which is counted."""
        delay_s = self.backoff.delay_s(self.attempts, rng)
        self.attempts += 1
        return delay_s
