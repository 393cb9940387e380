"""What came of a simulated morning, in figures. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """The farm at one moment."""

    at_s: float
    running: int
    waiting: int
    most: int
    """The desktops of the node with the most."""
    least: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run of a simulation."""

    nodes: int
    ready_s: tuple[float, ...]
    """From each login to its running desktop, ascending; refused ones are not in it."""
    refused: int
    redirects: int
    """How often a chosen node was full, and another one was asked."""
    desktops: tuple[int, ...]
    """Desktops of each node at the end."""
    longest_queue: int
    overcommitted: int
    """Nodes that promised or used more memory than they have, at any time."""
    took_s: float
    """From the first second of the window until the last desktop was up."""
    samples: tuple[Sample, ...]

    def ready_pct_s(self, percent: float) -> float:
        """So many percent of the users had their desktop within this time; inf if none had one."""
        return percentile(self.ready_s, percent)

    @property
    def max_over_mean(self) -> float:
        """The desktops of the node with the most, over the mean of all; 1 without desktops."""
        total = sum(self.desktops)
        return max(self.desktops) * self.nodes / total if total else 1.0

    def is_good(self, ready_goal_s: float) -> bool:
        """Nobody was refused, and 99 % had a desktop in that time."""
        return not self.refused and not self.overcommitted and self.ready_pct_s(99) <= ready_goal_s


def percentile(ascending: Sequence[float], percent: float) -> float:
    """The nearest rank; inf of nothing."""
    if not ascending:
        return math.inf
    rank = math.ceil(len(ascending) * percent / 100)
    return ascending[max(rank - 1, 0)]
