"""How much of the last ten seconds programs waited for memory, without the node's own part. Pure.

The kernel counts a process that pushes a guest's memory to swap at our request as one that waits
for memory (`psi_memstall_enter` in `try_to_free_mem_cgroup_pages`). Taken as it is, its figure
would stop starts and reclaim because of the reclaim itself. The kernel also tells the total since
the host's start, so the difference over a while, less the time in which such a process ran, is what
others waited at least.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from qvdnode.memopt.core.meminfo import Pressure

WINDOW_S: Final = 10.0
"""As long as the kernel's own short average."""
APART_S: Final = 1.0
"""Samples that are nearer to each other are not kept."""
US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Sample:
    """Totals at one moment."""

    at_s: float
    some_us: int
    full_us: int
    own_s: float
    """For how long processes of the node have pushed memory to swap."""


class StallWindow:
    """Keeps the samples of the last ten seconds, and the one before them."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque()

    def hear(self, now: Sample) -> Pressure | None:
        """The pressure since the oldest sample kept; None while there is none that is older."""
        kept = self._samples
        while len(kept) > 1 and now.at_s - kept[1].at_s >= WINDOW_S:
            kept.popleft()
        first = kept[0] if kept else now
        if not kept or now.at_s - kept[-1].at_s >= APART_S:
            kept.append(now)
        seconds = now.at_s - first.at_s
        if seconds < APART_S:
            return None
        own_s = now.own_s - first.own_s
        return Pressure(
            some_pct=_pct((now.some_us - first.some_us) / US - own_s, seconds),
            full_pct=_pct((now.full_us - first.full_us) / US - own_s, seconds),
        )


def _pct(waited_s: float, seconds: float) -> float:
    return round(min(max(100 * waited_s / seconds, 0.0), 100.0), 2)
