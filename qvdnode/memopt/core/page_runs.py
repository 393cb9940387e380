"""Finds which of a process's pages are in memory, by what the kernel tells of them. Pure."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

PAGE: Final = 4096
ENTRY: Final = 8
PRESENT: Final = 1 << 63
OF_FILE: Final = 1 << 61
"""Or of memory that programs share, which swap does not take from one of them alone."""
GAP_PAGES: Final = 2
"""Runs with so few pages between them are one: to name a run costs more than to read a page."""
RANGE: Final = struct.Struct("=QQ")
"""Start and length: the kernel's iovec."""


@dataclass(frozen=True, slots=True)
class Area:
    """Private writable memory of a process."""

    start: int
    end: int


def areas(maps: str) -> Iterator[Area]:
    """What of /proc/PID/maps may be in swap; lines that are odd are left out."""
    for line in maps.splitlines():
        words = line.split(maxsplit=2)
        if len(words) < 2 or not words[1].startswith("rw-p"):
            continue
        first, _, last = words[0].partition("-")
        try:
            yield Area(int(first, 16), int(last, 16))
        except ValueError:
            continue


def resident_runs(area: Area, pagemap: bytes) -> list[tuple[int, int]]:
    """Start and length of each run of pages in memory, by the area's part of /proc/PID/pagemap."""
    whole = len(pagemap) - len(pagemap) % ENTRY
    entries = memoryview(pagemap[:whole]).cast("Q")
    present = [at for at, one in enumerate(entries) if one & (PRESENT | OF_FILE) == PRESENT]
    runs: list[tuple[int, int]] = []
    first = last = -1
    for at in present:
        if first >= 0 and at - last > GAP_PAGES + 1:
            runs.append((area.start + first * PAGE, (last - first + 1) * PAGE))
            first = at
        elif first < 0:
            first = at
        last = at
    if first >= 0:
        runs.append((area.start + first * PAGE, (last - first + 1) * PAGE))
    return runs


def packed(runs: Sequence[tuple[int, int]], most: int) -> bytes:
    """The longest runs, at most so many, as the kernel wants them."""
    longest = sorted(runs, key=lambda run: run[1], reverse=True)[:most]
    return b"".join(RANGE.pack(*run) for run in sorted(longest))
