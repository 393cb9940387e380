"""Lifeguard's local health: how far this member trusts its own view of the others."""

from dataclasses import dataclass


@dataclass(slots=True)
class Health:
    """A score from 0, healthy, to `worst`; a member that is not well probes less often."""

    worst: int
    score: int = 0

    def worsen(self, by: int = 1) -> None:
        """Somebody suspected this member, or answers that had to come did not."""
        self.score = min(self.worst, self.score + by)

    def improve(self) -> None:
        """A probe was answered."""
        self.score = max(0, self.score - 1)
