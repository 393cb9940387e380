"""How guessing is slowed down."""

import pytest

from qvdnode.auth.throttle import FORGOTTEN_AFTER_S, TABLE_MAX, Throttle
from qvdnode.model.errors import Throttled
from tests.fakes.clock import ManualClock


def make(clock: ManualClock) -> Throttle:
    return Throttle(clock, free_failures=5, delay_max_s=60)


def fail(throttle: Throttle, times: int, account: str = "alice", source: str = "10.0.0.1") -> None:
    for _ in range(times):
        throttle.attempt(account, source)


def test_five_failures_at_once_are_normal() -> None:
    fail(make(ManualClock()), 5)


def test_the_sixth_has_to_wait_and_is_told_how_long() -> None:
    throttle = make(ManualClock())
    fail(throttle, 5)
    with pytest.raises(Throttled) as caught:
        fail(throttle, 1)
    assert caught.value.retry_after_s == pytest.approx(1.0)


def test_the_wait_doubles_up_to_its_limit() -> None:
    clock = ManualClock()
    throttle = make(clock)
    fail(throttle, 5)
    for wait_s in (1, 2, 4, 8, 16, 32, 60, 60):
        clock.advance(wait_s - 0.01)
        with pytest.raises(Throttled):
            fail(throttle, 1)
        clock.advance(0.02)
        fail(throttle, 1)


def test_another_account_or_another_address_is_not_slowed() -> None:
    throttle = make(ManualClock())
    fail(throttle, 5)
    fail(throttle, 5, account="bob")
    fail(throttle, 5, source="10.0.0.2")


def test_success_forgets_failures() -> None:
    throttle = make(ManualClock())
    fail(throttle, 5)
    throttle.succeeded("alice", "10.0.0.1")
    fail(throttle, 5)


def test_an_attempt_that_could_not_be_judged_does_not_count() -> None:
    throttle = make(ManualClock())
    for _ in range(20):
        fail(throttle, 1)
        throttle.undo("alice", "10.0.0.1")


def test_old_failures_are_forgotten() -> None:
    clock = ManualClock()
    throttle = make(clock)
    fail(throttle, 5)
    clock.advance(FORGOTTEN_AFTER_S + 1)
    fail(throttle, 5)


def test_the_table_is_bounded() -> None:
    throttle = make(ManualClock())
    for number in range(TABLE_MAX + 10):
        throttle.attempt(f"user{number}", "10.0.0.1")
    assert len(throttle._table) == TABLE_MAX
