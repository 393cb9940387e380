"""What a wrong guess costs, and which attempts are one guess."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.auth.core.guesses import (
    FORGOTTEN_AFTER_S,
    REPEAT_WINDOW_S,
    REPEATS_MAX,
    TABLE_MAX,
    WRONG_MAX,
    Guesses,
)
from qvdnode.auth.core.login_source import LoginSource
from tests.unit.auth.core.login_sources import login_source

FREE = 5


def make(delay_max_s: float = 60.0) -> Guesses:
    return Guesses(free=FREE, delay_max_s=delay_max_s)


def fail(guesses: Guesses, who: LoginSource, times: int = FREE, now_s: float = 0.0) -> None:
    for _ in range(times):
        assert guesses.wait_s(who, now_s) == 0
        guesses.count(who, now_s)


def test_some_failures_cost_nothing_and_each_after_them_a_growing_wait() -> None:
    guesses, now_s = make(), 0.0
    fail(guesses, login_source())
    for wait_s in (1, 2, 4, 8, 16, 32, 60, 60):
        assert guesses.wait_s(login_source(), now_s) == pytest.approx(wait_s)
        now_s += wait_s
        fail(guesses, login_source(), 1, now_s)


def test_another_account_and_another_source_are_not_slowed() -> None:
    guesses = make()
    fail(guesses, login_source())
    fail(guesses, login_source("bob"))
    fail(guesses, login_source(source="192.0.2.2"))


def test_all_addresses_of_a_64_are_one_source() -> None:
    guesses = make()
    for host in range(FREE):
        fail(guesses, login_source(source=f"2001:db8::{host:x}"), 1)
    assert guesses.wait_s(login_source(source="2001:db8::ffff"), 0) == 1


def test_whoever_owns_a_48_has_sixteen_times_the_guesses_and_no_more() -> None:
    guesses = make()
    for number in range(16):
        fail(guesses, login_source(source=f"2001:db8:0:{number:x}00::1"))
    assert guesses.wait_s(login_source(source="2001:db8:0:ff00::1"), 0) == 1
    assert guesses.wait_s(login_source(source="2001:db8:1::1"), 0) == 0


def test_old_failures_are_forgotten_but_never_before_their_wait_is_over() -> None:
    guesses = make()
    fail(guesses, login_source())
    fail(guesses, login_source(), now_s=FORGOTTEN_AFTER_S + 1)
    slow = make(delay_max_s=86_400)
    slow.count(login_source(), 0)
    for _ in range(FREE + 20):
        slow.count(login_source(), 1)
    slow.count(login_source(), FORGOTTEN_AFTER_S * 2)
    assert slow.wait_s(login_source(), FORGOTTEN_AFTER_S * 2) == 86_400


def test_a_guess_taken_back_leaves_no_trace() -> None:
    guesses = make()
    fail(guesses, login_source())
    first = guesses.wait_s(login_source(), 0.5)
    guess = guesses.count(login_source(), 0.75)
    guesses.undo(guess)
    assert guesses.wait_s(login_source(), 0.75) == pytest.approx(first - 0.25)
    guesses.undo(guesses.count(login_source("bob"), 1))
    assert guesses.wait_s(login_source("bob"), 1) == 0
    early, late = guesses.count(login_source("eve"), 1), guesses.count(login_source("eve"), 2)
    guesses.undo(early)
    guesses.undo(late)
    guesses.undo(late)


def test_whoever_logs_in_is_forgiven_and_others_of_a_wide_network_are_not() -> None:
    guesses = make()
    mine = login_source(source="2001:db8::1")
    guesses.forgive(mine)
    for number in range(1, 4):
        fail(guesses, login_source(source=f"2001:db8:0:{number}::1"))
    fail(guesses, mine)
    assert guesses.wait_s(mine, 0) == 1
    guesses.forgive(mine)
    fail(guesses, mine, 4)
    assert guesses.wait_s(login_source(source="2001:db8:0:1::1"), 0) == 1
    fail(guesses, mine, 1)
    assert guesses.wait_s(login_source(source="2001:db8:0:ff::1"), 0) == 1  # the /56


def test_a_wrong_proof_five_times_is_one_guess() -> None:
    guesses = make()
    guesses.count(login_source(), 0)
    guesses.found_wrong(login_source(), b"typo", 0)
    repeats = [
        guesses.is_repeat(login_source(), b"typo", REPEAT_WINDOW_S) for _ in range(REPEATS_MAX)
    ]
    assert repeats == [True] * 4 + [False]
    assert not guesses.is_repeat(login_source(), b"other", 0)
    assert not guesses.is_repeat(login_source(source="192.0.2.2"), b"typo", 0)
    assert not guesses.is_repeat(login_source("bob"), b"typo", 0)


def test_a_repeat_after_a_while_is_a_guess_of_its_own() -> None:
    guesses = make()
    guesses.count(login_source(), 0)
    guesses.found_wrong(login_source(), b"typo", 0)
    assert not guesses.is_repeat(login_source(), b"typo", REPEAT_WINDOW_S + 1)


def test_only_a_few_proofs_are_remembered() -> None:
    guesses = make()
    guesses.found_wrong(login_source(), b"never counted", 0)
    guesses.count(login_source(), 0)
    for number in range(WRONG_MAX + 1):
        guesses.found_wrong(login_source(), bytes([number]), 0)
    assert not guesses.is_repeat(login_source(), b"\0", 0)
    assert guesses.is_repeat(login_source(), bytes([WRONG_MAX]), 0)


def test_the_table_is_bounded_under_a_flood_of_sources() -> None:
    guesses = make()
    for number in range(TABLE_MAX):
        guesses.count(login_source(source=f"2001:db8:{number:x}::1"), 0)
    assert len(guesses._table) == TABLE_MAX


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 100)), max_size=80))
def test_no_more_guesses_than_the_free_ones_and_one_a_wait(
    steps: list[tuple[int, float]],
) -> None:
    guesses, now_s, made = make(), 0.0, 0
    for password, passes_s in steps:
        now_s += passes_s
        key = bytes([password])
        if (
            not guesses.is_repeat(login_source(), key, now_s)
            and guesses.wait_s(login_source(), now_s) == 0
        ):
            guesses.count(login_source(), now_s)
            guesses.found_wrong(login_source(), key, now_s)
            made += 1
    assert made <= FREE + now_s  # the shortest wait is a second
