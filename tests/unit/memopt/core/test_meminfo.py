import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.memopt.core.meminfo import (
    HostMemory,
    Pressure,
    parse_meminfo,
    parse_pressure,
    parse_stalled_us,
)

MEMINFO = """\
MemTotal:       24689804 kB
MemFree:         1024000 kB
MemAvailable:   20971520 kB
SwapTotal:       2097152 kB
SwapFree:        1048576 kB
HugePages_Total:       0
Words: no number
"""


def test_the_kernels_table_is_read_in_mib() -> None:
    assert parse_meminfo(MEMINFO) == HostMemory(24111, 20480, 1024, 2048, 0)


def test_a_host_without_swap_has_none() -> None:
    assert parse_meminfo("MemTotal: 2048 kB\nMemAvailable: 1024 kB\n") == HostMemory(2, 1, 0)


def test_a_table_without_total_is_an_error() -> None:
    with pytest.raises(KeyError, match="MemTotal"):
        parse_meminfo("MemFree: 1 kB\n")


def test_pressure_is_read() -> None:
    text = (
        "some avg10=1.50 avg60=0.10 avg300=0.00 total=12\n"
        "full avg10=0.25 avg60=0.00 avg300=0.00 total=3\n"
    )
    assert parse_pressure(text) == Pressure(1.5, 0.25)


@pytest.mark.parametrize("text", ["", "\n \n", "some\n", "some avg10=what\n", "full avg60=1\n"])
def test_untold_pressure_is_none(text: str) -> None:
    assert parse_pressure(text) == Pressure()


def test_the_totals_of_stalls() -> None:
    text = "some avg10=1.50 avg60=0.70 total=7654\nfull avg10=0.25 avg60=0.00 total=32\n"
    assert parse_stalled_us(text) == (7654, 32)


@pytest.mark.parametrize(
    "text", ["", "some total=5\n", "some total=²\nfull total=3\n", "some\nfull\n"]
)
def test_untold_totals_are_none(text: str) -> None:
    assert parse_stalled_us(text) is None


@given(st.text(alphabet="someful avg10=.2²\n", max_size=60))
def test_any_text_is_some_pressure(text: str) -> None:
    assert 0 <= parse_pressure(text).full_pct <= 100


@given(st.text(alphabet="1²: kB\n", max_size=60))
def test_odd_lines_of_the_table_are_passed_over(text: str) -> None:
    assert parse_meminfo(MEMINFO + text).total_mib == 24111


@given(st.floats())
def test_pressure_is_a_percentage(value: float) -> None:
    assert 0 <= parse_pressure(f"some avg10={value}\n").some_pct <= 100


def test_a_node_with_a_limit_sees_no_more_than_its_share() -> None:
    host = HostMemory(24_000, 20_000, 0)
    assert host.within(8_000, 3_000) == HostMemory(8_000, 5_000, 0)
    assert host.within(8_000, 9_000).available_mib == 0
    assert host.within(50_000, 1_000) == host
