"""How much of the host's processor time was used, from /proc/stat."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
IDLE: Final = slice(3, 5)
"""The columns of idle time, and of idle time while a disk is waited for."""
GUEST: Final = 8
"""Columns from here on are in others already."""


@dataclass(frozen=True, slots=True)
class CpuTime:
    """Time since the boot, of all cores, in ticks."""

    busy: int = 0
    total: int = 0

    def percent_since(self, before: "CpuTime") -> float:
        """Return how much was busy meanwhile, in percent; 0 if no time has passed."""
        passed = self.total - before.total
        if passed <= 0:
            return 0.0
        return round(min(100.0, max(0.0, 100 * (self.busy - before.busy) / passed)), 1)


def cpu_time(proc: Path = PROC) -> CpuTime:
    """Return the time used so far; nothing where the kernel does not tell."""
    try:
        with (proc / "stat").open(encoding="ascii", errors="replace") as file:
            return parse_stat(file.readline())
    except OSError:
        return CpuTime()


def parse_stat(line: str) -> CpuTime:
    """Return the time in the first line of /proc/stat; nothing for another line."""
    name, *words = line.split() or [""]
    if name != "cpu" or not all(word.isascii() and word.isdecimal() for word in words):
        return CpuTime()
    ticks = [int(word) for word in words][:GUEST]
    total = sum(ticks)
    return CpuTime(total - sum(ticks[IDLE]), total)
