"""Memory is given back step by step while connections get fewer, and left alone otherwise."""

from qvdnode.tls.core.ebb import Ebb


def test_each_fall_by_a_step_is_told() -> None:
    ebb = Ebb(step=100)
    for count in range(1, 1_001):
        ebb.rose(count)
    told = [count for count in range(999, -1, -1) if ebb.fell(count)]
    assert told == [900, 800, 700, 600, 500, 400, 300, 200, 100, 0]


def test_coming_and_going_is_no_fall() -> None:
    ebb = Ebb(step=100)
    for _ in range(1_000):
        ebb.rose(50)
        assert not ebb.fell(49)
