"""Decides which desktops to stop when the disk fills up. Pure.

- Above the alarm mark: none.
- Between alarm mark and floor: the greatest writer, once the floor would be reached soon at the
  present rate. It is asked to stop if there is time for that.
- Below the floor: at once each desktop that wrote a large share of the lost space.
- Far below the floor: at once each desktop that still writes.

A desktop's share is what it wrote since free space fell below the alarm mark, not only since the
last measurement. Otherwise a desktop that writes slowly would never be found, and one that just
saved a document would be blamed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from qvdnode.model.ids import VmId

HORIZON_S: Final = 60.0
"""The greatest writer is asked to stop when the floor is this far away at the present rate."""
PATIENCE_S: Final = 15.0
"""With the floor this far away there is no time for a desktop to stop by itself."""
GROWTH_MIN_MIB: Final = 1.0
"""Growth below this between two measurements is ignored: logs and the like."""
SHARE_MIN: Final = 0.1
"""A writer is a cause if it wrote at least this share of the space that was lost, and of the space
between the alarm mark and the floor."""
LAST_PART: Final = 0.5
"""Share of the floor; with less free space every desktop that writes is stopped."""
SLOW_S: Final = 1.0
FAST_S: Final = 0.2
LOOKS_AHEAD: Final = 5
"""Measure at the fast rate if the alarm mark may be reached within so many slow intervals."""


@dataclass(frozen=True, slots=True)
class Writer:
    """One desktop, and by how much its files grew since the last measurement."""

    vm_id: VmId
    grown_mib: float
    since_alarm_mib: float = 0.0
    """The same since the last measurement with at least the alarm mark free."""

    @property
    def took_mib(self) -> float:
        """The greater of both, which decides."""
        return max(self.grown_mib, self.since_alarm_mib)


@dataclass(frozen=True, slots=True)
class Space:
    """One file system at two measurements."""

    folder: str
    free_mib: float
    lost_mib: float
    """Decrease of free space since the last measurement; negative if it grew."""
    seconds: float
    """Time between the two."""
    floor_mib: int
    alarm_mib: int
    lost_since_alarm_mib: float = 0.0

    @property
    def left_s(self) -> float:
        """Time until the floor is reached at the present rate."""
        above = max(self.free_mib - self.floor_mib, 0.0)
        return above * self.seconds / self.lost_mib if self.lost_mib > 0 else float("inf")


@dataclass(frozen=True, slots=True)
class StopOrder:
    """An order to stop one desktop."""

    vm_id: VmId
    at_once: bool
    """Whether to kill it at once; otherwise it is asked first."""
    because: str


def stop_orders(space: Space, writers: Sequence[Writer]) -> list[StopOrder]:
    """Return the desktops to stop now, the greatest writer first."""
    if space.free_mib < LAST_PART * space.floor_mib:
        growing = [writer for writer in writers if writer.grown_mib >= GROWTH_MIN_MIB]
        return [_stop_order(space, writer, at_once=True) for writer in _greatest_first(growing)]
    between_mib = space.alarm_mib - space.floor_mib  # or a document saved would be a flood
    gone_mib = max(space.lost_mib, space.lost_since_alarm_mib, between_mib)
    causes = _greatest_first(
        writer for writer in writers if writer.took_mib >= max(GROWTH_MIN_MIB, SHARE_MIN * gone_mib)
    )
    if space.free_mib < space.floor_mib:
        goes_on = space.lost_mib > 0 or any(w.grown_mib >= GROWTH_MIN_MIB for w in writers)
        return [_stop_order(space, writer, at_once=True) for writer in causes if goes_on]
    if space.free_mib >= space.alarm_mib or space.left_s > HORIZON_S:
        return []
    return [_stop_order(space, writer, at_once=space.left_s < PATIENCE_S) for writer in causes[:1]]


def _greatest_first(writers: Iterable[Writer]) -> list[Writer]:
    return sorted(writers, key=lambda writer: writer.took_mib, reverse=True)


def pause_s(space: Space) -> float:
    """Return the time until the next measurement."""
    ahead_mib = space.lost_mib / space.seconds * SLOW_S * LOOKS_AHEAD if space.seconds else 0.0
    return FAST_S if space.free_mib - ahead_mib < space.alarm_mib else SLOW_S


def _stop_order(space: Space, writer: Writer, *, at_once: bool) -> StopOrder:
    if writer.since_alarm_mib > writer.grown_mib:
        wrote = f"{writer.since_alarm_mib:.0f} MiB since {space.alarm_mib} MiB were free"
    else:
        wrote = f"{writer.grown_mib:.0f} MiB within {space.seconds:.1f} s"
    return StopOrder(
        writer.vm_id,
        at_once,
        f"The desktop was ended because it was filling the node's disk: it wrote"
        f" {wrote}, and {space.free_mib:.0f} MiB"
        f" were free in {space.folder}, where {space.floor_mib} MiB are kept free for others. Its"
        " home is kept. Write less at a time or delete what is not needed in the home; an"
        " administrator can make room.",
    )
