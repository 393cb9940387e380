"""Ten thousand strangers make two lines, and the metrics know of each."""

import logging

import pytest

from qvdnode.telemetry.repeated_events import PORT_EVENTS, WINDOW_S, RepeatedEvents


def test_a_flood_makes_one_line_at_once_and_one_for_the_rest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    now_s = [0.0]
    events = RepeatedEvents("tests", lambda: now_s[0])
    counted = PORT_EVENTS.labels("tests", "stranger_dropped")
    before = counted._value.get()
    for number in range(10_000):
        events.note("stranger_dropped", f"10.0.0.{number % 250}", "too many")
    now_s[0] = WINDOW_S
    events.flush()
    assert [record.__dict__["count"] for record in caplog.records] == [1, 9_999]
    assert caplog.records[1].__dict__["sources"] == "10.0.0.1, 10.0.0.2, 10.0.0.3"
    assert counted._value.get() - before == 10_000
