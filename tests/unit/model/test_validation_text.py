import pytest

from qvdnode.model.validation_text import validation_text


@pytest.mark.parametrize(
    ("kind", "facts", "sentence"),
    [
        ("missing", {}, "is missing"),
        ("greater_than_equal", {"ge": 64}, "must be 64 or more"),
        ("string_too_short", {"min_length": 1}, "must have 1 character or more"),
        ("too_long", {"max_length": 256}, "must have 256 characters at most"),
        ("too_short", {"min_length": 1, "field_type": "List"}, "must have 1 element or more"),
        ("value_error", {"error": ValueError("must be one of two")}, "must be one of two"),
        ("literal_error", {"expected": "'lxc' or 'memory'"}, "must be lxc or memory"),
        ("of_a_newer_pydantic", {}, "has a value that does not fit"),
    ],
)
def test_an_error_becomes_what_to_do(kind: str, facts: dict[str, object], sentence: str) -> None:
    assert validation_text({"type": kind, "ctx": facts}) == sentence


def test_an_error_may_come_without_facts() -> None:
    assert validation_text({"type": "bool_parsing"}) == "must be true or false"
