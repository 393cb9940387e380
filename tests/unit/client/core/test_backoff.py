"""Delays grow, stay bounded, and differ between clients."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.client.core.backoff import Backoff, Outage


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


def test_an_outage_has_growing_pauses_and_an_end() -> None:
    outage = Outage(Backoff(first_s=1.0, longest_s=8.0, give_up_s=60.0), since_s=100.0)
    delays = [outage.next_delay_s(random.Random(1)) for _ in range(5)]
    assert delays == sorted(delays)
    assert delays[0] < 1.0 < 4.0 <= delays[-1]
    assert not outage.is_over(159.9)
    assert outage.is_over(160.0)


def test_who_never_gives_in_never_tries() -> None:
    assert Outage(Backoff(give_up_s=0.0), since_s=100.0).is_over(100.0)
