"""Counts the locks on files that /proc/locks lists. Pure.

A line is `1: POSIX  ADVISORY  WRITE 123 08:02:1234 0 EOF`, with `->` after the number for one that
waits. The pid is -1 for a lock of an open file description, and may be of a process that has ended
while another goes on with its table of open files; then only the device tells whose it is.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

WAITS: Final = b"->"
FIELDS_MIN: Final = 6
"""Up to the file."""

Device = tuple[int, int]
"""Major and minor number."""


@dataclass(frozen=True, slots=True)
class Holder:
    """What is known of the processes of one guest."""

    pids: Collection[int]
    devices: Collection[Device]
    """The file systems that it has mounted."""


@dataclass(slots=True)
class LockCounts:
    """How many locks there are, by who made them and where."""

    total: int = 0
    by_place: Counter[tuple[int, Device]] = field(default_factory=Counter)


def counted(text: bytes) -> LockCounts:
    """Count the whole lines; others, and what is not a lock, are skipped."""
    counts = LockCounts()
    for line in text.split(b"\n")[:-1]:
        words = [word for word in line.split() if word != WAITS]
        place = _place(words)
        if place is not None:
            counts.total += 1
            counts.by_place[place] += 1
    return counts


def by_holder(
    counts: LockCounts, holders: Mapping[str, Holder], live: Collection[int]
) -> dict[str, int]:
    """How many locks each guest has.

    One of a process that lives is that process's; others count by the device, if one guest alone
    has that mounted. `live` are the pids of all processes of the host.
    """
    owners = {pid: name for name, holder in holders.items() for pid in holder.pids}
    mounted = Counter(device for holder in holders.values() for device in holder.devices)
    places = {
        device: name
        for name, holder in holders.items()
        for device in holder.devices
        if mounted[device] == 1
    }
    found: Counter[str] = Counter()
    for (pid, device), number in counts.by_place.items():
        name = owners.get(pid) if pid in live else places.get(device)
        if name is not None:
            found[name] += number
    return dict(found)


def mounted_devices(mountinfo: str) -> set[Device]:
    """The devices in a process's mountinfo."""
    words = [line.split(" ") for line in mountinfo.splitlines()]
    pairs = [line[2].partition(":") for line in words if len(line) > 2]
    return {(int(major), int(minor)) for major, _, minor in pairs}


def _place(words: list[bytes]) -> tuple[int, Device] | None:
    if len(words) < FIELDS_MIN:
        return None
    major, _, rest = words[5].partition(b":")
    minor = rest.partition(b":")[0]
    try:
        return int(words[4]), (int(major, 16), int(minor, 16))
    except ValueError:  # <none> for a file that is gone
        return None
