"""Which desktops are ended so that one that writes too much takes nothing from the others. Pure.

Above the alarm mark nobody is. Below it the greatest writer is, once the floor is near: a desktop
that is only slow to use up what is left harms nobody yet. It is asked to end while there is time
for that. Below the floor every desktop that had a large part in it is ended at once. Who that is
tells what each took since the mark was passed: by what is written between two looks alone, one who
writes a little at a time would never be seen, and whoever saves a document next would be blamed.
Far below the floor every desktop that goes on writing is ended at once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from qvdnode.model.ids import VmId

HORIZON_S: Final = 60.0
"""With the floor this far away at the present pace, the greatest writer is asked to end."""
PATIENCE_S: Final = 15.0
"""With the floor this far away there is no time for a desktop to end by itself."""
GROWTH_MIN_MIB: Final = 1.0
"""Less than this between two looks is no growth: logs and the like."""
SHARE_MIN: Final = 0.1
"""A writer is a cause if it wrote at least this share of the space that was lost, and of the space
between the alarm mark and the floor."""
LAST_PART: Final = 0.5
"""Of the floor: with less free than that, every desktop that writes is ended."""
SLOW_S: Final = 1.0
FAST_S: Final = 0.2
LOOKS_AHEAD: Final = 5
"""The next look is soon when the alarm mark would be reached within so many slow ones."""


@dataclass(frozen=True, slots=True)
class Writer:
    """One desktop, and by how much its files grew since the last look."""

    vm_id: VmId
    grown_mib: float
    since_alarm_mib: float = 0.0
    """The same since the last look that found the alarm mark or more free."""

    @property
    def took_mib(self) -> float:
        """What it is judged by."""
        return max(self.grown_mib, self.since_alarm_mib)


@dataclass(frozen=True, slots=True)
class Space:
    """One file system at two looks."""

    folder: str
    free_mib: float
    lost_mib: float
    """How much less is free than at the last look; negative when it is more."""
    seconds: float
    """Between the two."""
    floor_mib: int
    alarm_mib: int
    lost_since_alarm_mib: float = 0.0

    @property
    def left_s(self) -> float:
        """How long until the floor is reached, at the present pace."""
        above = max(self.free_mib - self.floor_mib, 0.0)
        return above * self.seconds / self.lost_mib if self.lost_mib > 0 else float("inf")


@dataclass(frozen=True, slots=True)
class StopOrder:
    """One desktop that is to end."""

    vm_id: VmId
    at_once: bool
    """Whether it is killed; otherwise it is asked first."""
    because: str


def stop_orders(space: Space, writers: Sequence[Writer]) -> list[StopOrder]:
    """Whom to end now, the greatest writer first."""
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
    """How long to wait before the next look."""
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
