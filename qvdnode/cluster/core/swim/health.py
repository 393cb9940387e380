"""Lifeguard's local health: how far this member trusts its own view of the others."""

from dataclasses import dataclass


@dataclass(slots=True)
class Health:
    """A score from 0 (healthy) to `worst`; a member with a higher score probes less often."""

    worst: int
    score: int = 0

    def worsen(self, by: int = 1) -> None:
        """Raise the score: this member was suspected, or expected answers did not come."""
        self.score = min(self.worst, self.score + by)

    def improve(self) -> None:
        """Lower the score by one: a probe was answered."""
        self.score = max(0, self.score - 1)
