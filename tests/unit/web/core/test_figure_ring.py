"""The figures of a day in bounded memory."""

from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.web.core.figure_ring import (
    COARSE_KEPT,
    COARSE_S,
    FINE_KEPT,
    FINE_S,
    Buckets,
    FigureRing,
    Figures,
    merged,
    quantile_ms,
)

BEGAN = 1_000_000


def figures(starts: int = 1, cpu: float = 10.0, buckets: Buckets = ()) -> Figures:
    return Figures({"running": starts}, 2, 0, cpu, 4_096, 1_024, 3_072, starts, 0, 1, buckets)


def filled(points: int) -> FigureRing:
    ring = FigureRing()
    for number in range(1, points + 1):
        ring.add(BEGAN + number * FINE_S, figures())
    return ring


@given(st.integers(0, 2_000))
def test_points_follow_each_other_without_a_gap_or_an_overlap(number: int) -> None:
    points = filled(number).points(0)
    assert sum(point.figures.starts for point in points) == number
    for before, point in pairwise(points):
        assert point.at - point.seconds == before.at
    if number:
        assert points[-1].at == BEGAN + number * FINE_S


def test_a_day_is_kept_and_no_more() -> None:
    ring = filled(2 * COARSE_KEPT * COARSE_S // FINE_S)
    points = ring.points(0)
    coarse = [point for point in points if point.seconds == COARSE_S]
    assert FINE_KEPT - COARSE_S // FINE_S <= len(points) - len(coarse) <= FINE_KEPT
    assert COARSE_KEPT - 31 <= len(coarse) <= COARSE_KEPT - 29
    assert {point.figures.starts for point in coarse} == {COARSE_S // FINE_S}


def test_only_what_is_new_is_returned() -> None:
    ring = filled(20)
    last = ring.points(0)[-1].at
    assert ring.points(last) == []
    ring.add(last + FINE_S, figures())
    assert [point.at for point in ring.points(last)] == [last + FINE_S]


def test_a_longer_span_has_sums_and_averages() -> None:
    spans = [
        figures(1, 10.0, ((0.1, 1), (inf, 1))),
        figures(3, 20.0, ((0.1, 0), (inf, 2))),
        figures(2, 30.0),
    ]
    whole = merged(spans)
    assert (whole.starts, whole.cpu_percent, whole.users) == (6, 20.0, 2)
    assert whole.vms == {"running": 2}
    assert whole.login_buckets == ((0.1, 1), (inf, 3))


@pytest.mark.parametrize(
    ("buckets", "part", "expected"),
    [
        ((), 0.5, None),
        (((0.1, 0), (inf, 0)), 0.5, None),
        (((0.1, 10), (inf, 10)), 0.5, 50.0),
        (((0.1, 10), (0.2, 20), (inf, 20)), 0.75, 150.0),
        (((0.1, 0), (0.2, 10), (inf, 10)), 0.99, 199.0),
        (((0.1, 0), (inf, 5)), 0.5, 100.0),
    ],
)
def test_quantiles_are_read_from_buckets(
    buckets: Buckets, part: float, expected: float | None
) -> None:
    assert quantile_ms(buckets, part) == expected


@given(st.lists(st.integers(0, 100), min_size=3, max_size=3))
def test_a_larger_part_took_no_less(counts: list[int]) -> None:
    bounds = (0.1, 0.5, inf)
    buckets = tuple((bound, sum(counts[: n + 1])) for n, bound in enumerate(bounds))
    half, most = quantile_ms(buckets, 0.5), quantile_ms(buckets, 0.99)
    assert (half is None) == (most is None) == (sum(counts) == 0)
    if half is not None and most is not None:
        assert 0 <= half <= most <= 500
