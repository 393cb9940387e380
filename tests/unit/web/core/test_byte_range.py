"""Which bytes of a file a browser asks for, and under which name it stores them."""

import pytest

from qvdnode.web.core.byte_range import attachment, wanted_range


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (None, (0, 100)),
        ("bytes=0-", (0, 100)),
        ("bytes=10-19", (10, 20)),
        ("bytes=90-500", (90, 100)),
        ("bytes=-5", (95, 100)),
        ("bytes=-500", (0, 100)),
        ("bytes=100-", (0, 100)),
        ("bytes=-0", (0, 100)),
        ("bytes=9-3", (0, 100)),
        ("bytes=-", (0, 100)),
        ("bytes=0-1,5-6", (0, 100)),
        ("lines=0-1", (0, 100)),
        ("bytes=99999999999999999999-", (0, 100)),
    ],
)
def test_a_range_of_a_hundred_bytes(header: str | None, wanted: tuple[int, int]) -> None:
    assert wanted_range(header, 100) == wanted


def test_an_empty_file_has_no_range() -> None:
    assert wanted_range(None, 0) == (0, 0)
    assert wanted_range("bytes=0-", 0) == (0, 0)


def test_a_name_cannot_leave_its_header() -> None:
    assert attachment("a b.txt") == "attachment; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt"
    said = attachment('ñ"\r\nX: y\\.txt')
    assert "\r" not in said
    assert said.count('"') == 2
    assert "%C3%B1%22%0D%0AX%3A%20y%5C.txt" in said
