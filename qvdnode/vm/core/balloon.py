"""Decides how much memory a virtual machine gives back to its host (virtio balloon). Pure.

A balloon takes memory of the guest's kernel, which the guest chooses: what it needs least. What the
guest tells of itself is its word, and may be a lie; it can keep memory that was promised to it, or
hurt itself, and no more.

Rule 1: a guest that is short of memory gets some back at once, whatever the host needs.
Rule 2: a host with enough memory leaves all of it to the guest. Free page reporting gives back what
the guest does not use even so.
Rule 3: a host that is short takes a step at a time, and looks at the guest after each.
Rule 4: a guest keeps a reserve, and never has less than a floor.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from qvdnode.model.guest import HostNeed

MIB: Final = 1024 * 1024
FLOOR_MIB: Final = 192
FLOOR_SHARE: Final = 0.4
"""Share of the flavour's memory that a guest keeps; the kernel's own tables are made for all."""
RESERVE_MIB: Final = 64
RESERVE_SHARE: Final = 0.15
"""Share of what it has that is available to its programs at any time."""
STEP_SHARE: Final = {HostNeed.SHORT: 0.05, HostNeed.SQUEEZED: 0.15}
RETURN_SHARE: Final = 0.25
FAULTS_MAX: Final = 200
"""With more page faults that waited for a disk between two measurements, it is short of memory."""


@dataclass(frozen=True, slots=True)
class BalloonFigures:
    """What QEMU and the guest tell."""

    full_mib: int
    """By the flavour."""
    actual_mib: int
    """What the balloon leaves it."""
    available_mib: int | None = None
    """To its programs, by the guest's word; None while it has told nothing."""
    major_faults: int = 0
    """Since its boot."""


def target_mib(now: BalloonFigures, before: BalloonFigures | None, need: HostNeed) -> int:
    """How much memory the guest is to have."""
    reserve_mib = max(RESERVE_MIB, int(now.actual_mib * RESERVE_SHARE))
    if now.available_mib is None:
        return now.full_mib  # a guest that is not asked keeps what it was promised
    faults = 0 if before is None else now.major_faults - before.major_faults
    if now.available_mib < reserve_mib or faults > FAULTS_MAX:
        return min(now.full_mib, now.actual_mib + max(1, int(now.full_mib * RETURN_SHARE)))
    if need is HostNeed.NONE:
        return now.full_mib
    step_mib = min(int(now.full_mib * STEP_SHARE[need]), now.available_mib - reserve_mib)
    floor_mib = min(now.full_mib, max(FLOOR_MIB, int(now.full_mib * FLOOR_SHARE)))
    return max(floor_mib, now.actual_mib - step_mib) if now.actual_mib > floor_mib else floor_mib


def figures(full_mib: int, balloon: object, stats: object) -> BalloonFigures:
    """QEMU's answers as figures; raises ValueError on what is no answer of its."""
    match balloon:
        case {"actual": int(actual)} if actual >= 0:
            actual_mib = min(actual // MIB, full_mib)
        case _:
            raise ValueError("QEMU did not tell the balloon's size")
    match stats:
        case {"stats": {**told}, "last-update": int(at)} if at > 0:
            available, faults = _told(told, "available-memory"), _told(told, "major-faults")
            available_mib = None if available is None else min(available // MIB, actual_mib)
            return BalloonFigures(full_mib, actual_mib, available_mib, faults or 0)
        case _:
            return BalloonFigures(full_mib, actual_mib)


def _told(stats: Mapping[object, object], name: str) -> int | None:
    """A number of the guest's; None for one that it did not give, which QEMU shows as all ones."""
    value = stats.get(f"stat-{name}")
    return value if isinstance(value, int) and 0 <= value < 2**63 else None
