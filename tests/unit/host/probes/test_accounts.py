"""Ranges of subuid files, and whether they meet the guests'."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.host.probes.accounts import OwnedIds, parse_ranges


def test_ranges_are_read_and_the_rest_is_passed_over() -> None:
    lines = ["alice:100000:65536\n", "", "# note", "bob:x:1", "root:1879048192:268435456", ":1:1"]
    assert parse_ranges(lines) == [
        OwnedIds("alice", 100_000, 65_536),
        OwnedIds("root", 1_879_048_192, 268_435_456),
    ]


@given(st.lists(st.text(max_size=20), max_size=5))
def test_any_file_is_survived(lines: list[str]) -> None:
    parse_ranges(lines)


@pytest.mark.parametrize(
    ("start", "count", "met"), [(0, 100, False), (0, 101, True), (150, 1, True), (200, 5, False)]
)
def test_ranges_meet_when_an_id_is_in_both(start: int, count: int, met: bool) -> None:
    assert OwnedIds("x", 100, 100).meets(start, count) is met
