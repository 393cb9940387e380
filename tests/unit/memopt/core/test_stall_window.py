"""The node's own pushes are not others' waits."""

import pytest

from qvdnode.memopt.core.meminfo import Pressure
from qvdnode.memopt.core.stall_window import Sample, StallWindow

S = 1_000_000


def test_the_first_sample_tells_nothing() -> None:
    window = StallWindow()
    assert window.hear(Sample(100.0, 5 * S, S, 0.0)) is None
    assert window.hear(Sample(100.5, 5 * S, S, 0.0)) is None


def test_what_others_waited_is_told() -> None:
    window = StallWindow()
    window.hear(Sample(100.0, 5 * S, S, 3.0))
    assert window.hear(Sample(104.0, 7 * S, 2 * S, 3.0)) == Pressure(50.0, 25.0)


@pytest.mark.parametrize(
    ("own_s", "told"), [(0.5, Pressure(37.5, 12.5)), (1.0, Pressure(25.0, 0.0)), (3.0, Pressure())]
)
def test_own_pushes_do_not_count(own_s: float, told: Pressure) -> None:
    window = StallWindow()
    window.hear(Sample(100.0, 5 * S, S, 3.0))
    assert window.hear(Sample(104.0, 7 * S, 2 * S, 3.0 + own_s)) == told


def test_what_is_older_than_the_window_is_forgotten() -> None:
    window = StallWindow()
    told = [window.hear(Sample(float(second), min(second, 30) * S, 0, 0.0)) for second in range(60)]
    assert told[30] == Pressure(100.0, 0.0)
    assert told[-1] == Pressure()
    assert len(window._samples) <= 12


def test_after_a_gap_the_last_sample_before_it_counts() -> None:
    window = StallWindow()
    window.hear(Sample(0.0, 0, 0, 0.0))
    window.hear(Sample(5.0, 0, 0, 0.0))
    assert window.hear(Sample(105.0, 50 * S, 0, 0.0)) == Pressure(50.0, 0.0)


def test_never_more_than_all_of_the_time() -> None:
    window = StallWindow()
    window.hear(Sample(0.0, 0, 0, 0.0))
    assert window.hear(Sample(2.0, 9 * S, 9 * S, 0.0)) == Pressure(100.0, 100.0)
