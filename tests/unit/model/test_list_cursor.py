"""The place after which a page begins."""

import base64
import json
import string
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.model.list_cursor import ID_MAX, BadCursor, ListCursor, decoded

values = (
    st.text(st.characters(codec="utf-8", exclude_characters="\0"))
    | st.datetimes(timezones=st.just(UTC))
)  # fmt: skip
cursors = st.builds(
    ListCursor, st.text(st.characters(codec="utf-8")), values, st.integers(1, ID_MAX)
)
ALPHABET = set(string.ascii_letters + string.digits + "-_")


@given(cursors)
def test_a_place_comes_back(cursor: ListCursor) -> None:
    text = cursor.encoded()
    assert set(text) <= ALPHABET
    assert decoded(text) == cursor


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "place",
    [
        [],
        {},
        7,
        ["login", "text", "a"],
        ["login", "text", "a", 0],
        ["login", "text", "a", True],
        ["login", "text", "a", "7"],
        ["login", "text", "a", 2**63],
        ["login", "text", 7, 7],
        ["login", "text", "a\0b", 7],
        ["login", "text", "\ud800", 7],
        ["login", "number", "7", 7],
        ["-created_at", "at", "yesterday", 7],
        ["-created_at", "at", "2026-01-01T00:00:00", 7],
    ],
)
def test_other_places_are_refused(place: object) -> None:
    with pytest.raises(BadCursor):
        decoded(encoded(place))


@given(st.text(max_size=200))
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    try:
        cursor = decoded(text)
    except BadCursor:
        return
    assert decoded(cursor.encoded()) == cursor


def test_the_time_of_a_place_is_exact() -> None:
    at = datetime(2026, 2, 3, 4, 5, 6, 789_123, tzinfo=UTC)
    assert decoded(ListCursor("-created_at", at, 7).encoded()).value == at
