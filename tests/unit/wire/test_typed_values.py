from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import NoneType
from typing import Any, NewType, get_args, get_origin, get_type_hints

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.guest import GuestMemory
from qvdnode.model.seat import Evicted, Progressed, Seat, Viewer
from qvdnode.vm.core.start_record import StartRecord
from qvdnode.vm.status import GuestStatus
from qvdnode.wire.typed_values import BadValue, from_plain, to_plain
from tests.fakes.orders import desktop_order

Number = NewType("Number", int)


UNLUCKY = 2**62 + 13


class Colour(StrEnum):
    """Of a test."""

    RED = "red"


@dataclass(frozen=True)
class Inner:
    """A part of a value."""

    number: Number
    colour: Colour = Colour.RED

    def __post_init__(self) -> None:
        if self.number == UNLUCKY:
            raise ValueError("it is unlucky")


@dataclass(frozen=True)
class Outer:
    """A value with every type that is read."""

    inner: Inner
    when: datetime | None
    raw: bytes
    ratio: float
    flag: bool
    many: Sequence[Inner] = ()
    pair: tuple[str, ...] = ()
    names: Mapping[str, float] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)


VALUE = Outer(
    Inner(Number(1)),
    datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    b"\xff",
    0.5,
    flag=True,
    many=(Inner(Number(2)),),
    pair=("a", "b"),
    names={"x": 1.0},
    texts={"y": "z"},
)
PLAIN = to_plain(VALUE)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type that crosses between nodes."""
    kind = getattr(kind, "__supertype__", kind)
    if kind in LEAVES:
        return LEAVES[kind]
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        return st.builds(kind, **{one.name: values(hints[one.name]) for one in fields(kind)})
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Sequence, tuple):
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if origin in (Mapping, dict):
        return st.dictionaries(st.text(), values(arguments[1]), max_size=3)
    if arguments:
        return st.one_of(*map(values, arguments))
    return st.sampled_from(kind)


LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    NoneType: st.none(),
    bool: st.booleans(),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: st.text(st.characters()),
    bytes: st.binary(),
    datetime: st.datetimes(timezones=st.just(UTC)),
}


@pytest.mark.parametrize(
    "kind",
    [DesktopOrder, DisplayParams, GuestMemory, GuestStatus, StartRecord, Seat, Viewer, Evicted,
     Progressed, Outer, GuestStatus | None, Sequence[StartRecord]],
)  # fmt: skip
@given(data=st.data())
def test_what_crosses_between_nodes_arrives_equal(kind: Any, data: st.DataObject) -> None:
    value = data.draw(values(kind))
    packed = msgpack.packb(to_plain(value), unicode_errors="surrogatepass")
    plain = msgpack.unpackb(packed, unicode_errors="surrogatepass")
    assert from_plain(kind, plain) == value


def test_an_order_arrives_equal() -> None:
    order = desktop_order(owner=3)
    assert from_plain(DesktopOrder, to_plain(order)) == order
    assert from_plain(Outer, PLAIN) == VALUE
    assert from_plain(None, None) is None
    assert from_plain(Colour | None, "red") is Colour.RED


def test_fields_of_a_newer_program_are_ignored_and_those_of_an_older_have_defaults() -> None:
    assert from_plain(Inner, {"number": 1, "weight": 7}) == Inner(Number(1), Colour.RED)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"inner": 7}, "inner: not a map"),
        ({"inner": {}}, "inner.number: missing"),
        ({"inner": {"number": True}}, "inner.number: not a whole number of 64 bits"),
        ({"inner": {"number": 2**63}}, "inner.number: not a whole number of 64 bits"),
        ({"inner": {"number": 1, "colour": "blue"}}, "inner.colour: not a Colour that this"),
        ({"inner": {"number": UNLUCKY}}, "inner: it is unlucky"),
        ({"when": 7}, "when: not a time"),
        ({"when": "yesterday"}, "when: not a time"),
        ({"when": "2026-01-01T00:00:00"}, "when: a time without its zone"),
        ({"raw": "text"}, "raw: not bytes"),
        ({"ratio": float("nan")}, "ratio: not a finite number"),
        ({"ratio": 1}, "ratio: not a finite number"),
        ({"flag": 1}, "flag: not true or false"),
        ({"many": {}}, "many: not a list"),
        ({"many": [{"number": 1}, {"number": "x"}]}, "many.1.number: not a whole number"),
        ({"pair": [1]}, "pair.0: not text"),
        ({"names": []}, "names: not a map"),
        ({"names": {b"x": 1.0}}, "names: a map whose keys are not text"),
        ({"texts": {"y": None}}, "texts.y: not text"),
    ],
)
def test_what_is_not_of_its_type_is_refused(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadValue) as caught:
        from_plain(Outer, {**PLAIN, **change})
    assert str(caught.value).startswith(problem)


def test_nothing_is_nothing() -> None:
    with pytest.raises(BadValue, match="not nothing"):
        from_plain(None, 0)


def test_other_types_are_a_mistake_of_the_program() -> None:
    with pytest.raises(TypeError, match="has no plain value"):
        to_plain(object())
    for kind in (object, int | str, dict[int, str], set[int]):
        with pytest.raises(TypeError, match="is not read"):
            from_plain(kind, None)
