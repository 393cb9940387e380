import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.image.core.locale_archive import (
    ENTRY,
    HEADER,
    MAGIC,
    filed_as,
    name_offsets,
    table_of,
)


@pytest.mark.parametrize(
    ("name", "filed"),
    [
        ("es_ES.UTF-8", "es_ES.utf8"),
        ("es_ES.utf8", "es_ES.utf8"),
        ("ca_ES.UTF-8@valencia", "ca_ES.utf8@valencia"),
        ("de_DE.ISO-8859-15@euro", "de_DE.iso885915@euro"),
        ("es_ES", "es_ES"),
        ("C.UTF-8", "C.utf8"),
    ],
)
def test_locales_are_filed_under_normal_names(name: str, filed: str) -> None:
    assert filed_as(name) == filed


def test_the_table_is_where_the_header_says() -> None:
    assert table_of(HEADER.pack(MAGIC, 1, 56, 2, 907, *[0] * 9)) == (56, 907 * ENTRY.size)


@pytest.mark.parametrize(
    "header", [b"", b"x" * 56, HEADER.pack(MAGIC, 1, 56, 2, 1 << 31, *[0] * 9)]
)
def test_what_is_no_archive_has_no_table(header: bytes) -> None:
    assert table_of(header) is None


def test_used_entries_have_names() -> None:
    table = b"".join(
        struct.pack("<3I", *entry) for entry in [(7, 300, 900), (0, 0, 0), (9, 200, 800), (1, 5, 0)]
    )
    assert name_offsets(table + b"cut") == [200, 300]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    table_of(data)
    assert len(name_offsets(data)) <= len(data) // ENTRY.size
