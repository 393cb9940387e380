import struct

from hypothesis import given
from hypothesis import strategies as st

from qvdnode.memopt.core.page_runs import (
    OF_FILE,
    PAGE,
    PRESENT,
    RANGE,
    Area,
    areas,
    packed,
    resident_runs,
)

MAPS = """\
5650765be000-5650849bd000 rw-p 00000000 00:00 0                          [heap]
7ff1a7a00000-7ff1ae17c000 r-xp 00000000 fe:00 339086                     /usr/lib/libLLVM-15.so.1
7ff1b0000000-7ff1b0002000 rw-s 00000000 00:01 12                         /dev/zero (deleted)
7ff1b0694000-7ff1b24bc000 rw-p 00000000 00:00 0
odd
odd-line rw-p 0
"""


def test_what_may_be_in_swap_is_found() -> None:
    assert list(areas(MAPS)) == [
        Area(0x5650765BE000, 0x5650849BD000),
        Area(0x7FF1B0694000, 0x7FF1B24BC000),
    ]


def entries(*values: int) -> bytes:
    return struct.pack(f"={len(values)}Q", *values)


def test_pages_near_each_other_are_one_run() -> None:
    here, away, file = PRESENT | 5, 1 << 62, PRESENT | OF_FILE
    told = entries(away, here, here, away, away, here, away, away, away, here, file, away)
    runs = resident_runs(Area(0x10000, 0x1C000), told)
    assert runs == [(0x11000, 5 * PAGE), (0x19000, PAGE)]
    assert resident_runs(Area(0, PAGE), entries(away)) == []
    assert resident_runs(Area(0, PAGE), b"torn") == []


def test_the_longest_runs_are_kept_in_order() -> None:
    runs = [(0x1000, PAGE), (0x5000, 3 * PAGE), (0x3000, 2 * PAGE)]
    made = packed(runs, 2)
    assert list(RANGE.iter_unpack(made)) == [(0x3000, 2 * PAGE), (0x5000, 3 * PAGE)]


@given(st.lists(st.booleans(), max_size=300))
def test_each_page_in_memory_is_in_a_run(pages: list[bool]) -> None:
    told = entries(*(PRESENT if one else 0 for one in pages))
    runs = resident_runs(Area(0, len(pages) * PAGE), told)
    covered = {at // PAGE for start, length in runs for at in range(start, start + length, PAGE)}
    assert {at for at, one in enumerate(pages) if one} <= covered
    assert covered <= set(range(len(pages)))


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    assert isinstance(list(areas(text)), list)
