"""The log lines of failed logins."""

import logging

import pytest

from qvdnode.auth.core.line_budget import PER_SOURCE, WINDOW_S
from qvdnode.auth.failure_log import LOGIN_MAX, FailureLog, shortened
from tests.fakes.clock import ManualClock


def test_a_line_has_login_source_and_reason(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        FailureLog(ManualClock()).write(
            login="alice@default", source="::ffff:192.0.2.1", because="wrong password"
        )
    [line] = caplog.records
    assert line.message == "login_failed"
    facts = {key: vars(line)[key] for key in ("login", "source", "because", "left_out")}
    assert facts == {
        "login": "alice@default",
        "source": "192.0.2.1",
        "because": "wrong password",
        "left_out": 0,
    }


def test_many_failures_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    failures = FailureLog(clock)
    with caplog.at_level(logging.INFO):
        for host in range(1_000):
            failures.write(login="x" * 9_000, source=f"2001:db8::{host:x}", because="must wait")
        clock.advance(WINDOW_S)
        failures.write(login="", source="192.0.2.1", because="unknown or expired token")
    assert len(caplog.records) == PER_SOURCE + 1
    assert len(vars(caplog.records[0])["login"]) == LOGIN_MAX
    assert vars(caplog.records[-1])["left_out"] == 1_000 - PER_SOURCE


def test_unchecked_refusals_do_not_use_the_lines_of_checked_ones(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failures = FailureLog(ManualClock())
    with caplog.at_level(logging.INFO):
        for _ in range(1_000):
            failures.write(login="a", source="192.0.2.1", because="must wait", checked=False)
        failures.write(login="a", source="192.0.2.1", because="wrong password")
    assert vars(caplog.records[-1])["because"] == "wrong password"


@pytest.mark.parametrize(
    ("login", "shown"), [("", "..."), ("ab", "..."), ("abc", "a..."), ("hunter2@default", "hu...")]
)
def test_a_login_that_may_be_a_password_is_shortened(login: str, shown: str) -> None:
    assert shortened(login) == shown
