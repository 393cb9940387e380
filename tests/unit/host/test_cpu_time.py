"""The host's processor time."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.host.cpu_time import CpuTime, cpu_time, parse_stat


def test_busy_is_what_is_not_idle() -> None:
    # user nice system idle iowait irq softirq steal guest guest_nice
    found = parse_stat("cpu  100 10 50 800 40 0 0 0 30 5\n")
    assert found == CpuTime(busy=160, total=1_000)


def test_the_share_of_a_span() -> None:
    before, after = CpuTime(100, 1_000), CpuTime(175, 1_100)
    assert after.percent_since(before) == 75.0
    assert before.percent_since(before) == 0.0
    assert before.percent_since(after) == 0.0


@pytest.mark.parametrize("line", ["", "cpu0 1 2 3", "cpu x", "cpu -1 2", "cpu", "intr 5"])
def test_other_lines_tell_nothing(line: str) -> None:
    assert parse_stat(line) == CpuTime()


@given(st.text())
def test_any_line_is_read(line: str) -> None:
    assert parse_stat(line).total >= 0


def test_this_host_tells(tmp_path: Path) -> None:
    assert cpu_time().total > 0
    assert cpu_time(tmp_path) == CpuTime()
