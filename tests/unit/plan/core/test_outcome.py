"""Figures of a simulated morning."""

import math

import pytest

from qvdnode.plan.core.outcome import Outcome, percentile


def outcome(
    *ready_s: float, refused: int = 0, overcommitted: int = 0, desktops: tuple[int, ...] = (2, 1, 3)
) -> Outcome:
    return Outcome(len(desktops), ready_s, refused, 0, desktops, 0, overcommitted, 9.0, ())


def test_percentiles_are_of_those_who_got_a_desktop() -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], 50) == 2.0
    assert percentile([1.0, 2.0, 3.0, 4.0], 99) == 4.0
    assert percentile([1.0], 0) == 1.0
    assert math.isinf(percentile([], 50))
    assert outcome(1.0, 5.0).ready_pct_s(99) == 5.0


def test_the_fullest_node_over_the_mean() -> None:
    assert outcome().max_over_mean == 1.5
    assert outcome(desktops=(0, 0)).max_over_mean == 1.0


@pytest.mark.parametrize(
    ("result", "good"),
    [
        (outcome(1.0, 5.0), True),
        (outcome(1.0, 5.1), False),
        (outcome(1.0, refused=1), False),
        (outcome(1.0, overcommitted=1), False),
        (outcome(), False),
    ],
)
def test_good_is_in_time_and_for_all(result: Outcome, *, good: bool) -> None:
    assert result.is_good(5.0) is good
