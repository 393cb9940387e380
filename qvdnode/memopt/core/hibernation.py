"""Decides which desktops are hibernated, with reasons. Pure.

Rule 1: nobody who is connected is touched, whatever happens: only desktops with `unused_since` are
looked at, and the guest's own table refuses all others.
Rule 2: while there is plenty of memory, everybody stays awake: a thaw takes longer than none.
Rule 3: the longest unused desktop goes first.
Rule 4: a desktop that works without its user (a download, a computation) goes on, unless the host
is about to run out of memory.
Rule 5: nothing is frozen for nothing: there must be room in swap for its memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from qvdnode.memopt.core.figures import MIB, GuestFigures
from qvdnode.memopt.core.meminfo import HostMemory
from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import VmState

AT_ONCE: Final = 8
"""Hibernated in a row before the host is looked at again."""
COMPRESSED: Final = 3
"""One part in so many of what is pushed to zram is taken to stay in memory."""
SWAP_RESERVE_MIB: Final = 64
"""Left free in swap, for those who run."""
SQUEEZE_GRACE_S: Final = 10.0
"""Under a squeeze, too, a client that lost its connection gets so long to come back."""
NO_SWAP: Final = "there is no swap, so a frozen desktop would keep all its memory"
SWAP_FULL: Final = "there is no room in swap for the memory of another desktop"


@dataclass(frozen=True, slots=True)
class Marks:
    """Settings that the decision needs."""

    warm_mib: int
    """While so much is available, desktops stay awake."""
    squeeze_mib: int
    """With less available, grace times do not count."""
    busy_pct: float
    """A desktop that uses more of a core works for its user."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Whom to hibernate now, longest unused first, and why no more."""

    choices: tuple[tuple[VmId, str], ...] = ()
    obstacle: str | None = None
    """What keeps desktops awake that should be hibernated, for an administrator."""


def plan(guests: Sequence[GuestFigures], memory: HostMemory, marks: Marks, now: datetime) -> Plan:
    """Whom to hibernate, at most AT_ONCE."""
    if memory.available_mib >= marks.warm_mib:
        return Plan()
    squeezed = memory.available_mib < marks.squeeze_mib
    target_mib = marks.squeeze_mib if squeezed else marks.warm_mib
    candidates = [guest for guest in guests if _may(guest, marks, now, squeezed=squeezed)]
    if not candidates:
        return Plan()
    if memory.swap_total_mib == 0:
        return Plan(obstacle=NO_SWAP)
    available_mib, swap_mib = memory.available_mib, memory.swap_free_mib - SWAP_RESERVE_MIB
    choices: list[tuple[VmId, str]] = []
    for guest in sorted(candidates, key=lambda guest: _unused_s(guest, now), reverse=True):
        if available_mib >= target_mib or len(choices) == AT_ONCE:
            break
        size_mib = guest.memory.anon_bytes // MIB
        if size_mib > swap_mib:
            return Plan(tuple(choices), SWAP_FULL)
        choices.append((guest.vm_id, _reason(guest, memory, now, squeezed=squeezed)))
        available_mib += size_mib - size_mib // COMPRESSED
        swap_mib -= size_mib
    return Plan(tuple(choices))


def _may(guest: GuestFigures, marks: Marks, now: datetime, *, squeezed: bool) -> bool:
    if guest.state is not VmState.RUNNING or guest.viewer or guest.unused_since is None:
        return False
    if guest.grace_s == 0:
        return False
    if squeezed:
        return _unused_s(guest, now) >= min(guest.grace_s, SQUEEZE_GRACE_S)
    return _unused_s(guest, now) >= guest.grace_s and guest.cpu_pct <= marks.busy_pct


def _unused_s(guest: GuestFigures, now: datetime) -> float:
    return 0.0 if guest.unused_since is None else (now - guest.unused_since).total_seconds()


def _reason(guest: GuestFigures, memory: HostMemory, now: datetime, *, squeezed: bool) -> str:
    cause = "the host runs short of memory" if squeezed else "its memory is of use to others"
    return (
        f"{cause} ({memory.available_mib} MiB are available), and nobody has used it for"
        f" {_unused_s(guest, now):.0f} s"
    )
