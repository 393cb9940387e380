"""Counts how often a guest has reached its limits, and decides when to say so. Pure.

The kernel counts killed programs and refused forks. Of a disk only its free space is known, so a
full one is counted when it fills up, and again once there was room in between.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from qvdnode.model.farm import Flavour

FULL_BYTES: Final = 1024 * 1024
"""With less than this free a disk is full: hardly any program can save a file."""
ROOMY_BYTES: Final = 8 * FULL_BYTES
"""With this much free it is not full any more."""
TOLD_EVERY_S: Final = 300.0
"""A limit that is reached again and again is logged, and told to the user, this often."""
TRIES: Final = 12
"""How often it is tried to tell the user: a guest without free pids cannot run anything."""


class GuestLimit(StrEnum):
    """What a guest can use up."""

    MEMORY = "memory"
    """The kernel killed a program of the guest."""
    PIDS = "pids"
    """A program or thread could not be started."""
    DISK = "disk"
    """The root file system is full."""
    HOME = "home"
    """The user's home is full."""
    HANG = "hang"
    """Its own kernel, or all that runs in it, has answered nothing for a minute."""


SENTENCES: Final[dict[GuestLimit, str]] = {
    GuestLimit.MEMORY: "A program was ended: this desktop has used up its {memory_mib} MiB of"
    " memory. Close programs that you do not need.",
    GuestLimit.PIDS: "A program could not be started: this desktop may run {pids_max} processes at"
    " a time. Close programs that you do not need.",
    GuestLimit.DISK: "The disk of this desktop ({disk_mib} MiB outside your home) is full. Delete"
    " files there, or log out: the next start begins with an empty one.",
    GuestLimit.HOME: "Your home ({home_mib} MiB) is full: nothing more can be saved. Delete files"
    " that you do not need, and empty the waste basket.",
    GuestLimit.HANG: "This desktop did not answer for a minute. If it stays slow, close programs;"
    " if it hangs again, tell your administrator.",
}
FIXES: Final[dict[GuestLimit, str]] = {
    GuestLimit.MEMORY: "raise the flavour's memory_mib, or have the user close programs",
    GuestLimit.PIDS: "raise the flavour's pids_max, or look for a program that starts others",
    GuestLimit.DISK: "raise the flavour's disk_mib, or look at what is written outside the home",
    GuestLimit.HOME: "raise the flavour's home_mib, or have the user delete files",
    GuestLimit.HANG: "look at its console (qvd vm log, or NAME.console); stop it if it stays so",
}


def sentence(limit: GuestLimit, flavour: Flavour) -> str:
    """What the desktop's user is told."""
    return SENTENCES[limit].format(
        memory_mib=flavour.memory_mib,
        pids_max=flavour.pids_max,
        disk_mib=flavour.disk_mib,
        home_mib=flavour.home_mib,
    )


@dataclass(frozen=True, slots=True)
class LimitReached:
    """A limit that one start of a VM has reached."""

    limit: GuestLimit
    count: int
    """How often: killed programs, refused forks, or times that the disk filled up."""
    at: datetime | None
    """The last time; None when it was before this process of the node."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of a guest at one moment."""

    killed: int
    """Programs killed for want of memory since the guest started."""
    forks_refused: int
    root_free_bytes: int
    """Also 0 when the file system has no inode left."""
    home_free_bytes: int
    hangs: int = 0
    """Times that it answered nothing for long, since this process of the node knows it."""


@dataclass(frozen=True, slots=True)
class News:
    """What a measurement changed."""

    grown: Sequence[tuple[GuestLimit, int]]
    """By how much each count grew."""
    tell: Sequence[LimitReached]
    """What to log and to tell the user."""


class LimitCounts:
    """The limits that one guest has reached, from its start or its adoption on."""

    def __init__(self, *, adopted: bool = False) -> None:
        """What an adopted guest reached earlier is counted, but is no news."""
        self._reached: dict[GuestLimit, LimitReached] = {}
        self._told_s: dict[GuestLimit, float] = {}
        self._full: set[GuestLimit] = set()
        self._adopted = adopted

    @property
    def reached(self) -> tuple[LimitReached, ...]:
        """Each limit that was reached, in a fixed order."""
        return tuple(self._reached[limit] for limit in GuestLimit if limit in self._reached)

    def take(self, measured: Measured, now: datetime, now_s: float) -> News:
        """Count a measurement."""
        counts = {
            GuestLimit.MEMORY: measured.killed,
            GuestLimit.PIDS: measured.forks_refused,
            GuestLimit.DISK: self._times_full(GuestLimit.DISK, measured.root_free_bytes),
            GuestLimit.HOME: self._times_full(GuestLimit.HOME, measured.home_free_bytes),
            GuestLimit.HANG: measured.hangs,
        }
        kernels = {GuestLimit.MEMORY, GuestLimit.PIDS} if self._adopted else frozenset()
        grown, tell = [], []
        for limit, count in counts.items():
            more = count - self._count(limit)
            if more <= 0:
                continue
            self._reached[limit] = LimitReached(limit, count, None if limit in kernels else now)
            if limit in kernels:
                continue
            grown.append((limit, more))
            if now_s - self._told_s.get(limit, -TOLD_EVERY_S) >= TOLD_EVERY_S:
                self._told_s[limit] = now_s
                tell.append(self._reached[limit])
        self._adopted = False
        return News(grown, tell)

    def _count(self, limit: GuestLimit) -> int:
        return self._reached[limit].count if limit in self._reached else 0

    def _times_full(self, disk: GuestLimit, free_bytes: int) -> int:
        before = self._count(disk)
        if free_bytes >= ROOMY_BYTES:
            self._full.discard(disk)
        elif free_bytes < FULL_BYTES and disk not in self._full:
            self._full.add(disk)
            return before + 1
        return before


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence that the user has not been shown yet."""

    limit: GuestLimit
    text: str
    tries: int = 0


class Notices:
    """The sentences that wait to be shown to a desktop's user, one of each limit at most."""

    def __init__(self) -> None:
        self._waiting: dict[GuestLimit, Notice] = {}

    @property
    def waiting(self) -> bool:
        """Whether there is one."""
        return bool(self._waiting)

    def add(self, notice: Notice) -> None:
        """Have it shown at the next chance, in place of an older one of its limit."""
        self._waiting[notice.limit] = notice

    def next(self) -> Notice | None:
        """The one to show now; it is not waiting any more."""
        limit = next(iter(self._waiting), None)
        return None if limit is None else self._waiting.pop(limit)

    def failed(self, notice: Notice) -> None:
        """It could not be shown: try again later, some times."""
        if notice.tries + 1 < TRIES:
            self._waiting.setdefault(notice.limit, replace(notice, tries=notice.tries + 1))
