"""When homes are due for a snapshot, and which snapshots stay."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.image.core.home_snapshot import newest
from qvdnode.image.core.snapshot_plan import Keep, is_due, kept, moment_of, name_of, time_of
from qvdnode.model.errors import Invalid

NOW = datetime(2026, 11, 30, 14, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


def names(*ages: timedelta) -> list[str]:
    return [name_of(NOW - age) for age in ages]


def test_a_name_is_the_time_in_utc() -> None:
    assert name_of(NOW.astimezone(timezone(timedelta(hours=5)))) == "2026-11-30T14-30-00Z"
    assert time_of("2026-11-30T14-30-00Z") == NOW
    with pytest.raises(Invalid, match="not the name"):
        time_of("latest")


@pytest.mark.parametrize(
    ("ages", "due"),
    [
        ((), True),
        ((HOUR,), True),
        ((timedelta(minutes=59),), False),
        ((3 * HOUR, timedelta(minutes=1)), False),
        ((-HOUR,), True),  # the clock was set back
    ],
)
def test_a_home_is_due_an_hour_after_its_last_snapshot(
    ages: tuple[timedelta, ...], due: bool
) -> None:
    assert is_due(names(*ages), NOW, HOUR) is due


def test_the_last_of_each_hour_day_and_week_stays() -> None:
    made = names(*(timedelta(minutes=20 * step) for step in range(24 * 3 * 30)))
    stay = kept(made, Keep(hourly=3, daily=2, weekly=3))
    assert stay == [
        "2026-11-22T23-50-00Z",  # of each week its Sunday
        "2026-11-29T23-50-00Z",
        "2026-11-30T12-50-00Z",
        "2026-11-30T13-50-00Z",
        "2026-11-30T14-30-00Z",
    ]


@given(
    st.lists(st.integers(0, 10**8), unique=True, max_size=40),
    st.builds(Keep, st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)),
)
def test_what_stays_is_bounded_stable_and_has_the_newest(ages: list[int], keep: Keep) -> None:
    made = names(*(timedelta(seconds=age) for age in ages))
    stay = kept(made, keep)
    assert set(stay) <= set(made)
    assert stay == sorted(stay)
    assert len(stay) <= max(1, keep.hourly + keep.daily + keep.weekly)
    assert stay[-1:] == sorted(made)[-1:]
    assert kept(stay, keep) == stay


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("", ""),
        ("2026-11-29", "2026-11-29"),
        ("2026-11-29 08:15", "2026-11-29T08-15"),
        ("2026-11-29T08-15-30Z", "2026-11-29T08-15-30"),
        ("9:05", "2026-11-30T09-05"),
        ("yesterday", "2026-11-29"),
        ("90m", "2026-11-30T13-00-00Z"),
        ("2h ago", "2026-11-30T12-30-00Z"),
        ("1w", "2026-11-23T14-30-00Z"),
    ],
)
def test_people_write_times_in_several_ways(text: str, moment: str) -> None:
    assert moment_of(text, NOW) == moment


def test_a_day_means_its_last_snapshot() -> None:
    made = ["2026-11-29T08-00-00Z", "2026-11-29T20-00-00Z", "2026-11-30T08-00-00Z"]
    assert newest(made, moment_of("yesterday", NOW)) == made[1]


@pytest.mark.parametrize("text", ["soon", "2026-13", "25h30", "../..", "2026-11-29T8"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="is not a time"):
        moment_of(text, NOW)
