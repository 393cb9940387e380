from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.cli.plain_values import cell, label, size

MADRID = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("any", None, "-"),
        ("any", "", "-"),
        ("any", [], "-"),
        ("any", {}, "-"),
        ("blocked", True, "yes"),
        ("blocked", False, "no"),
        ("id", 0, "0"),
        ("id", 1_234_567, "1234567"),
        ("created_at", "2026-05-01T22:59:59.123456Z", "2026-05-02 00:59:59"),
        ("since", "2026-05-01T10:00:00+00:00", "2026-05-01 12:00:00"),
        ("at", "yesterday", "yesterday"),
        ("cat", "2026-05-01T10:00:00+00:00", "2026-05-01T10:00:00+00:00"),
        ("size_bytes", 0, "0 B"),
        ("size_bytes", 412_090_368, "393 MiB"),
        ("bytes_in", 1_536, "1.5 KiB"),
        ("memory_mib", 512, "512 MiB"),
        ("limits.memory_total_mib", 24_064, "23.5 GiB"),
        ("cpu_pct", 150, "150 %"),
        ("steps.launch", 0.034_123, "0.034 s"),
        ("load", 12.5, "12.5"),
        ("detail", {"name": "desk", "memory_mib": 2048}, "name=desk, memory_mib=2 GiB"),
        ("names", ["a", "b"], "a, b"),
        ("name", "one\x1b[31mtwo\n", "one?[31mtwo?"),
    ],
)
def test_values_are_shown_as_people_read_them(name: str, value: object, shown: str) -> None:
    assert cell(value, name, MADRID) == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("memory_mib", "memory"),
        ("created_at", "created"),
        ("size_bytes", "size"),
        ("load.memory_promised_mib", "load memory promised"),
        ("is_application", "is application"),
        ("state", "state"),
    ],
)
def test_headings_leave_the_unit_to_the_value(name: str, shown: str) -> None:
    assert label(name) == shown


@given(st.integers(0, 2**49))
def test_a_size_is_short_for_any_number_of_bytes(count: int) -> None:
    assert len(size(count)) <= len("1023.9 GiB")
    assert size(count).split()[1] in ("B", "KiB", "MiB", "GiB", "TiB")
