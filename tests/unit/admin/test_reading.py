from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, SecretStr

from qvdnode.admin.problem import Malformed
from qvdnode.admin.reading import (
    LeftOut,
    NoQuery,
    PageQuery,
    Query,
    RequestBody,
    read_body,
    read_query,
)
from qvdnode.model.errors import Invalid
from qvdnode.model.listing import Page


class Body(RequestBody):
    """With a field of each kind."""

    login: Annotated[str, Field(max_length=8)]
    password: SecretStr | None = None
    number: int = 1
    blocked: bool = False


class Flags(Query):
    """With a choice."""

    wait: bool = False


class Change(RequestBody):
    """With a field to keep and one that null takes away."""

    number: int = LeftOut
    note: str | None = None


def refused(body: bytes) -> Invalid:
    with pytest.raises(Invalid) as caught:
        read_body(Body, body)
    return caught.value


def test_a_good_body_is_read() -> None:
    assert read_body(Body, b'{"login": "alice", "number": 7}') == Body(login="alice", number=7)


def test_an_unknown_field_is_refused_by_name() -> None:
    assert refused(b'{"login": "alice", "colour": "red"}').field == "colour"


def test_a_missing_field_is_named() -> None:
    assert refused(b"{}").field == "login"


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (b'{"login": 7}', "login"),
        (b'{"login": "a", "number": "7"}', "number"),
        (b'{"login": "a", "number": 7.5}', "number"),
        (b'{"login": "a", "blocked": 1}', "blocked"),
        (b'{"login": "a", "blocked": "true"}', "blocked"),
    ],
)
def test_nothing_is_converted(value: bytes, field: str) -> None:
    assert refused(value).field == field


@pytest.mark.parametrize("number", [b"596.0", b"5.96e2", b"596"])
def test_a_whole_number_may_be_written_in_any_way_of_json(number: bytes) -> None:
    assert read_body(Body, b'{"login": "a", "number": ' + number + b"}").number == 596


def test_a_change_names_what_changes_and_takes_null_only_where_it_means_something() -> None:
    assert read_body(Change, b'{"note": null}').model_dump(exclude_unset=True) == {"note": None}
    with pytest.raises(Invalid) as caught:
        read_body(Change, b'{"number": null}')
    assert caught.value.field == "number"
    schema = Change.model_json_schema()
    assert "required" not in schema
    assert schema["properties"]["number"] == {"title": "Number", "type": "integer"}


def test_a_refusal_never_repeats_a_value() -> None:
    error = refused(b'{"login": "a", "password": ["hunter2"]}')
    assert "hunter2" not in str(error)
    assert "hunter2" not in str(refused(b'"hunter2"'))


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'{"login": "\\ud800"}', b"[" * 10_000])
def test_a_body_that_is_not_json_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        read_body(Body, body)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_body_or_a_refusal(body: bytes) -> None:
    try:
        assert isinstance(read_body(Body, body), Body)
    except (Invalid, Malformed) as refusal:
        assert str(refusal)  # noqa: PT017 - either outcome is right


def test_a_query_is_read_from_text() -> None:
    query = read_query(PageQuery, [("limit", "5"), ("after", "9")])
    assert query.page() == Page(limit=5, after=9)
    assert read_query(Flags, [("wait", "true")]).wait


@pytest.mark.parametrize(
    ("pairs", "field"),
    [
        ([("limit", "0")], "query.limit"),
        ([("limit", "1001")], "query.limit"),
        ([("limit", "many")], "query.limit"),
        ([("after", "-1")], "query.after"),
        ([("after", "page 2")], "query.after"),
        ([("colour", "red")], "query.colour"),
        ([("limit", "1"), ("limit", "2")], "query.limit"),
    ],
)
def test_an_odd_query_is_refused_by_name(pairs: list[tuple[str, str]], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_query(PageQuery, pairs)
    assert caught.value.field == field


@given(st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), min_size=1, max_size=3))
def test_an_endpoint_without_parameters_refuses_all(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(Invalid) as caught:
        read_query(NoQuery, pairs)
    assert (caught.value.field or "").startswith("query.")
