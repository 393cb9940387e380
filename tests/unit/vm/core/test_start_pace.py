"""How many VMs may be brought up at once."""

import pytest

from qvdnode.vm.core.start_pace import Stalls, StartPace

CALM = Stalls()
STALLED = Stalls(memory_full_pct=5.0)


@pytest.mark.parametrize(
    ("stalls", "problem"),
    [
        (CALM, None),
        (Stalls(1.0, 60.0), None),
        (Stalls(1.1, 99.0), "programs waited for memory for 1 % of the time"),
        (Stalls(0.0, 61.0), "programs waited for the disk for 61 % of the time"),
    ],
)
def test_what_is_a_stall(stalls: Stalls, problem: str | None) -> None:
    assert stalls.problem == problem


def test_the_setting_counts_while_nothing_waits() -> None:
    pace = StartPace(8)
    assert not pace.hear(CALM, 0.0)
    assert not pace.hear(CALM, 1000.0)
    assert pace.at_once == 8


def test_it_is_halved_once_in_ten_seconds_down_to_one() -> None:
    pace = StartPace(8)
    heard = [(pace.hear(STALLED, float(now)), pace.at_once) for now in (0, 5, 10, 20, 30)]
    assert heard == [(True, 4), (False, 4), (True, 2), (True, 1), (False, 1)]


def test_one_more_after_each_minute_without_a_stall() -> None:
    pace = StartPace(4)
    pace.hear(STALLED, 0.0)
    heard = [(pace.hear(CALM, float(now)), pace.at_once) for now in (30, 59, 60, 90, 120, 180)]
    assert heard == [
        (False, 2), (False, 2), (True, 3), (False, 3), (True, 4), (False, 4),
    ]  # fmt: skip


def test_a_stall_that_goes_on_at_one_begins_the_minute_anew() -> None:
    pace = StartPace(2)
    pace.hear(STALLED, 0.0)
    pace.hear(STALLED, 50.0)
    assert not pace.hear(CALM, 100.0)
    assert pace.hear(CALM, 110.0)
