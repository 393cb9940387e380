"""A node's figures of the last day in bounded memory: fine at first, then coarse. Pure."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

FINE_S: Final = 5
"""Seconds between two fine points."""
COARSE_S: Final = 60
FINE_KEPT: Final = 372
"""Half an hour, and a minute, since coarse points are put before whole minutes only."""
COARSE_KEPT: Final = 1_440
"""A day."""

Buckets = tuple[tuple[float, float], ...]
"""Upper bounds, ascending and the last one infinite, each with the number of values up to it."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured in one span of time."""

    vms: Mapping[str, int]
    """Desktops of this node by state, at the end of the span."""
    users: int
    """Those who are connected."""
    queue: int
    """Starts that wait."""
    cpu_percent: float
    """Percent of all cores, on average."""
    memory_total_mib: int
    memory_used_mib: int
    memory_free_mib: int
    """What is still available."""
    starts: int
    """Desktops that became ready in the span."""
    failures: int
    """Starts that failed in the span."""
    logins: int
    """Good logins in the span."""
    login_buckets: Buckets = ()
    """How many seconds they took."""


@dataclass(frozen=True, slots=True)
class FigurePoint:
    """The figures of the span that ended at a time, in seconds since 1970."""

    at: int
    seconds: int
    figures: Figures


SUMMED: Final = frozenset({"starts", "failures", "logins"})
"""Fields that count what happened; of the others a longer span has the average."""


class FigureRing:
    """Points of the last day."""

    def __init__(self) -> None:
        self._fine: deque[FigurePoint] = deque(maxlen=FINE_KEPT)
        self._coarse: deque[FigurePoint] = deque(maxlen=COARSE_KEPT)
        self._minute: list[FigurePoint] = []

    def add(self, at: int, figures: Figures) -> None:
        """Add the figures of the last FINE_S seconds."""
        point = FigurePoint(at, FINE_S, figures)
        self._fine.append(point)
        self._minute.append(point)
        if len(self._minute) == COARSE_S // FINE_S:
            whole = merged([item.figures for item in self._minute])
            self._coarse.append(FigurePoint(at, COARSE_S, whole))
            self._minute.clear()

    def points(self, since: float) -> list[FigurePoint]:
        """Return the points after a time, coarse ones first; none overlaps another."""
        joint = self._joint()
        coarse = [point for point in self._coarse if since < point.at <= joint]
        return coarse + [point for point in self._fine if point.at > max(since, joint)]

    def _joint(self) -> int:
        """The end of the last coarse point in the answer; fine ones have all that follows."""
        if len(self._fine) < FINE_KEPT:
            return 0
        begin = self._fine[0].at - FINE_S
        return next((point.at for point in self._coarse if point.at >= begin), begin)


def merged(spans: Sequence[Figures]) -> Figures:
    """Return the figures of some spans of the same length, one after the other, as one."""
    values: dict[str, int | float] = {}
    for item in fields(Figures):
        if item.name in {"vms", "login_buckets"}:
            continue
        total = sum(getattr(span, item.name) for span in spans)
        if item.name in SUMMED:
            values[item.name] = total
        elif item.name == "cpu_percent":
            values[item.name] = round(total / len(spans), 1)
        else:
            values[item.name] = round(total / len(spans))
    counts: Counter[float] = Counter()
    for span in spans:
        for bound, count in span.login_buckets:
            counts[bound] += int(count)
    buckets = tuple(sorted(counts.items()))
    return Figures(vms=spans[-1].vms, login_buckets=buckets, **values)  # type: ignore[arg-type]  # each field has its type


def quantile_ms(buckets: Buckets, part: float) -> float | None:
    """Return about how many milliseconds this part of the values took at most; None without any.

    Within a bucket the values count as evenly spread; those beyond the last finite bound count as
    that bound.
    """
    if not buckets or buckets[-1][1] <= 0:
        return None
    wanted = part * buckets[-1][1]
    at = next(n for n, (_, count) in enumerate(buckets) if count > 0 and count >= wanted)
    bound, count = buckets[at]
    lower, below = buckets[at - 1] if at else (0.0, 0.0)
    if bound == float("inf"):
        return round(lower * 1000, 1)
    share = (wanted - below) / (count - below)
    return round((lower + share * (bound - lower)) * 1000, 1)
