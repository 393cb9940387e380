"""Delays grow, stay bounded, and differ between clients."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.client.core.backoff import Backoff


@given(st.integers(0, 10_000), st.integers(0, 2**32))
def test_delays_are_bounded(attempt: int, seed: int) -> None:
    delay_s = Backoff().delay_s(attempt, random.Random(seed))
    assert 0.125 <= delay_s <= 10.0


def test_delays_grow_up_to_the_longest() -> None:
    class Steady(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return b

    delays = [Backoff().delay_s(attempt, Steady()) for attempt in range(8)]
    assert delays == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_two_clients_do_not_come_at_once() -> None:
    first, second = (Backoff().delay_s(5, random.Random(seed)) for seed in (1, 2))
    assert first != second


@pytest.mark.parametrize(("first_s", "longest_s"), [(0.0, 1.0), (2.0, 1.0), (-1.0, 1.0)])
def test_nonsense_is_refused(first_s: float, longest_s: float) -> None:
    with pytest.raises(ValueError, match="first_s"):
        Backoff(first_s=first_s, longest_s=longest_s)
