"""A sender that trickles is found out within one window; an honest one never."""

from hypothesis import given
from hypothesis import strategies as st

from qvdnode.image.core.pace import Pace


def pace() -> Pace:
    return Pace(bytes_per_s_min=1_000, window_s=10)


def test_a_byte_a_second_is_too_slow_after_one_window() -> None:
    judged = pace()
    assert [judged.took(1, 1.0) for _ in range(10)] == [True] * 9 + [False]


def test_patience_ends_with_the_window() -> None:
    judged = pace()
    assert judged.patience_s == 10
    assert judged.took(1, 4.0)
    assert judged.patience_s == 6


def test_a_burst_does_not_pay_for_more_than_one_window() -> None:
    judged = pace()
    assert judged.took(1_000_000, 0.1)
    assert [judged.took(1, 5.0), judged.took(1, 5.0)] == [True, False]


@given(st.lists(st.integers(1, 50), max_size=50))
def test_whoever_keeps_the_rate_is_never_too_slow(tenths: list[int]) -> None:
    judged = pace()
    assert all(judged.took(tenth * 101, tenth / 10) for tenth in tenths)
