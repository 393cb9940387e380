"""How fast the kernel looks for equal pages, steered by what that yields. Pure.

KSM has two settings: pages per batch, and the pause between batches. While desktops start, tens
of thousands of pages a second are worth a look, since every desktop of an image brings the same
ones; later nearly none are. Both the cost and the savings of a scan are known, so the pace follows
the yield:

* new desktops came: scan at the highest pace that the budget allows;
* it pays (MIN_YIELD saved for a second of the processor): faster, up to the budget;
* it does not: half as fast, down to a pace that costs about nothing.
"""

from dataclasses import dataclass, replace
from typing import Final

SLEEP_MS: Final = 20
MIN_PAGES: Final = 20
MAX_PAGES: Final = 20_000
MIN_YIELD: Final = 4.0
"""MiB saved for a second of one core: a desktop's worth for some ten seconds."""
STORM_S: Final = 30.0
"""So long after the last start its pages still change, and are not merged on first sight."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the kernel's counters say."""

    saved_mib: float
    ksmd_cpu_s: float
    at_s: float
    guests: int
    """How many guests were launched so far."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The knobs, and what is remembered between two readings."""

    pages: int = MIN_PAGES
    storm_until_s: float = 0.0
    last: Reading | None = None
    why: str = "nothing was measured yet"

    def after(self, now: Reading, budget_pct: int) -> "Pace":
        """The next pace, with the reason."""
        last = self.last
        if last is None:
            return replace(self, last=now)
        seconds, cpu_s = now.at_s - last.at_s, now.ksmd_cpu_s - last.ksmd_cpu_s
        gained = now.saved_mib - last.saved_mib
        storm_until_s = now.at_s + STORM_S if now.guests > last.guests else self.storm_until_s
        if cpu_s <= 0 or seconds <= 0:
            wanted, why = self.pages * 4, "the scan takes no measurable time"
        elif now.at_s < storm_until_s:
            wanted, why = self.pages * 4, "desktops were started"
        elif gained / cpu_s >= MIN_YIELD:
            wanted, why = self.pages * 2, f"{gained / cpu_s:.0f} MiB saved for a second of a core"
        else:
            wanted, why = self.pages // 2, f"only {gained / cpu_s:.1f} MiB saved for a second"
        pages = min(wanted, self._affordable(cpu_s, seconds, budget_pct))
        if now.guests == 0 and now.saved_mib == 0:
            pages, why = MIN_PAGES, "there is nothing to merge"
        return Pace(max(MIN_PAGES, min(MAX_PAGES, pages)), storm_until_s, now, why)

    def _affordable(self, cpu_s: float, seconds: float, budget_pct: int) -> int:
        """The pages for which the thread would take its whole budget."""
        used_pct = 100 * cpu_s / seconds if seconds > 0 else 0.0
        return MAX_PAGES if used_pct <= 0 else int(self.pages * budget_pct / used_pct)
