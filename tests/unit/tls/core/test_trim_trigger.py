"""Memory is given back step by step while connections get fewer, and left alone otherwise."""

from qvdnode.tls.core.trim_trigger import TrimTrigger


def test_each_fall_by_a_step_is_told() -> None:
    trigger = TrimTrigger(step=100)
    for count in range(1, 1_001):
        trigger.opened(count)
    told = [count for count in range(999, -1, -1) if trigger.closed(count)]
    assert told == [900, 800, 700, 600, 500, 400, 300, 200, 100, 0]


def test_coming_and_going_is_no_fall() -> None:
    trigger = TrimTrigger(step=100)
    for _ in range(1_000):
        trigger.opened(50)
        assert not trigger.closed(49)
