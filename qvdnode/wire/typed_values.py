"""Dataclasses as plain values that msgpack can pack, and back with every type checked. Pure.

A dataclass is a map of its fields. A reader ignores fields that it does not know, and gives those
that are missing their defaults: so programs of two versions read each other.
"""

import math
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, Final, TypeAlias, Union, get_args, get_origin, get_type_hints

Plain: TypeAlias = Any
"""None, bool, int, float, str, bytes, and lists and dicts (with text keys) of these."""
Reader: TypeAlias = Callable[[Plain], Any]

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1


class BadValue(ValueError):
    """A plain value that is not of the type that is wanted; the message says which part."""

    def __init__(self, problem: str, path: str = "") -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.problem = problem
        self.path = path

    def inside(self, part: str) -> "BadValue":
        """The same error, told from further outside."""
        return BadValue(self.problem, f"{part}.{self.path}" if self.path else part)


def to_plain(value: object) -> Plain:
    """The plain value of a value of any type that `from_plain` reads."""
    match value:
        case StrEnum():
            return value.value
        case datetime():
            return value.isoformat()
        case str() | bytes() | int() | float() | None:
            return value
        case Mapping():
            return {key: to_plain(part) for key, part in value.items()}
        case Sequence():
            return [to_plain(part) for part in value]
        case _ if is_dataclass(value):
            return {one.name: to_plain(getattr(value, one.name)) for one in fields(value)}
        case _:
            raise TypeError(f"{type(value).__name__} has no plain value")


def from_plain(kind: object, plain: Plain) -> Any:  # noqa: ANN401 - of the type that is asked for
    """The value of that type; raises BadValue.

    Types: dataclasses of the other types, None, bool, int, float, str, bytes, datetime, StrEnum,
    NewType, `X | None`, `Sequence[X]` and `tuple[X, ...]` (both give a tuple), `Mapping[str, X]`
    and `dict[str, X]`.
    """
    return _reader(kind)(plain)


@cache
def _reader(kind: Any) -> Reader:  # noqa: ANN401, PLR0911 - a type form; one line for each kind
    supertype = getattr(kind, "__supertype__", None)
    if supertype is not None:
        return _reader(supertype)
    if kind in SCALARS:
        return SCALARS[kind]
    if isinstance(kind, type):
        if issubclass(kind, StrEnum):
            return _enum_reader(kind)
        if is_dataclass(kind):
            return _dataclass_reader(kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType) and len(arguments) == 2 and types.NoneType in arguments:
        return _optional_reader(next(one for one in arguments if one is not types.NoneType))
    if origin in (Sequence, tuple):
        return _sequence_reader(arguments[0])
    if origin in (Mapping, dict) and arguments[0] is str:
        return _mapping_reader(arguments[1])
    raise TypeError(f"{kind} is not read from plain values")


def _exact(kind: type, words: str) -> Reader:
    def read(plain: Plain) -> Plain:
        if type(plain) is not kind:
            raise BadValue(f"not {words}")
        return plain

    return read


def _read_int(plain: Plain) -> int:
    if type(plain) is not int or not INT_MIN <= plain <= INT_MAX:
        raise BadValue("not a whole number of 64 bits")
    return plain


def _read_float(plain: Plain) -> float:
    if type(plain) is not float or not math.isfinite(plain):
        raise BadValue("not a finite number")
    return plain


def _read_time(plain: Plain) -> datetime:
    if type(plain) is not str:
        raise BadValue("not a time")
    try:
        read = datetime.fromisoformat(plain)
    except ValueError as error:
        raise BadValue("not a time") from error
    if read.tzinfo is None:
        raise BadValue("a time without its zone")
    return read


def _enum_reader(kind: type[StrEnum]) -> Reader:
    def read(plain: Plain) -> StrEnum:
        try:
            return kind(plain)
        except ValueError as error:
            raise BadValue(f"not a {kind.__name__} that this version knows") from error

    return read


def _optional_reader(kind: object) -> Reader:
    reader = _reader(kind)
    return lambda plain: None if plain is None else reader(plain)


def _sequence_reader(kind: object) -> Reader:
    reader = _reader(kind)

    def read(plain: Plain) -> tuple[Any, ...]:
        if type(plain) is not list:
            raise BadValue("not a list")
        return tuple(_part(reader, part, str(number)) for number, part in enumerate(plain))

    return read


def _mapping_reader(kind: object) -> Reader:
    reader = _reader(kind)

    def read(plain: Plain) -> dict[str, Any]:
        if type(plain) is not dict:
            raise BadValue("not a map")
        if not all(type(key) is str for key in plain):
            raise BadValue("a map whose keys are not text")
        return {key: _part(reader, part, key) for key, part in plain.items()}

    return read


def _dataclass_reader(kind: Any) -> Reader:  # noqa: ANN401 - a dataclass
    hints = get_type_hints(kind)
    readers = {one.name: _reader(hints[one.name]) for one in fields(kind)}
    required = {one.name for one in fields(kind) if not _has_default(one)}

    def read(plain: Plain) -> Any:  # noqa: ANN401 - an instance of it
        if type(plain) is not dict:
            raise BadValue("not a map")
        missing = required - plain.keys()
        if missing:
            raise BadValue("missing", min(missing))
        known = readers.keys() & plain.keys()
        values = {name: _part(readers[name], plain[name], name) for name in known}
        try:
            return kind(**values)
        except ValueError as error:
            raise BadValue(str(error)) from error

    return read


def _has_default(field: "Field[Any]") -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


def _part(reader: Reader, plain: Plain, name: str) -> Any:  # noqa: ANN401 - as the reader reads
    try:
        return reader(plain)
    except BadValue as error:
        raise error.inside(name) from error


SCALARS: Final[dict[Any, Reader]] = {
    None: _exact(types.NoneType, "nothing"),
    types.NoneType: _exact(types.NoneType, "nothing"),
    bool: _exact(bool, "true or false"),
    str: _exact(str, "text"),
    bytes: _exact(bytes, "bytes"),
    int: _read_int,
    float: _read_float,
    datetime: _read_time,
}
