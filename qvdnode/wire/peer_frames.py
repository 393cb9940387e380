"""The frames that two nodes exchange: a length, then a msgpack array. Pure.

A reader skips kinds of frames that it does not know, and fields behind those it knows
(docs/peer-protocol.md). What the calls mean is peer/calls.py's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgpack

from qvdnode.wire.typed_values import Plain

Received: TypeAlias = Any
"""Whatever the other node sent, before it is checked."""

LENGTH_BYTES: Final = 4
FRAME_MAX_BYTES: Final = 4 << 20
"""Without the length: about 5,000 states of desktops."""
ID_MAX: Final = 2**63 - 1
NAME_MAX_CHARACTERS: Final = 64
_TEXT: Final = "surrogatepass"
"""Logs that guests wrote may hold what is not text; it arrives as it is."""


class FrameError(ValueError):
    """Received bytes that are not a frame, or values that do not fit into one."""


class FrameTooLarge(FrameError):
    """A frame above the limit, received or to be sent."""


@dataclass(frozen=True, slots=True)
class Call:
    """Do this and answer once, by the same id."""

    id: int
    name: str
    arguments: Plain


@dataclass(frozen=True, slots=True)
class Answer:
    """The call of that id is done."""

    id: int
    value: Plain


@dataclass(frozen=True, slots=True)
class Failure:
    """The call of that id failed with an error of the farm, or was cancelled."""

    id: int
    code: str
    message: str
    fields: Plain
    """What the error has besides its message."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Nobody waits for the call of that id any more. It is answered all the same."""

    id: int


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks for a Pong with the same number."""

    number: int


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a Ping."""

    number: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something happened; there is no answer."""

    name: str
    facts: Plain


Frame = Call | Answer | Failure | Cancel | Ping | Pong | Notice


def encode(frame: Frame) -> bytes:
    """The frame as it is sent; raises FrameTooLarge."""
    body: bytes = msgpack.packb(_array(frame), unicode_errors=_TEXT)
    if len(body) > FRAME_MAX_BYTES:
        raise FrameTooLarge(f"a frame of {len(body)} bytes; {FRAME_MAX_BYTES} are the most")
    return len(body).to_bytes(LENGTH_BYTES) + body


def body_bytes(length: bytes) -> int:
    """How long the body behind that length is; raises FrameTooLarge."""
    size = int.from_bytes(length)
    if size > FRAME_MAX_BYTES:
        raise FrameTooLarge(f"a frame of {size} bytes; {FRAME_MAX_BYTES} are the most")
    return size


def decode(body: bytes | memoryview) -> Frame | None:
    """The frame of a body, None if it is of a kind that this version does not know.

    Raises FrameError.
    """
    try:
        fields = msgpack.unpackb(body, unicode_errors=_TEXT, max_ext_len=0)
    except (ValueError, msgpack.UnpackException) as error:
        raise FrameError(f"not msgpack: {error}") from error
    if type(fields) is not list or not fields or type(fields[0]) is not int:
        raise FrameError("not an array that begins with a kind")
    reader = READERS.get(fields[0])
    return None if reader is None else reader(fields[1:])


class FrameReader:
    """Takes bytes as they come and gives whole frames."""

    __slots__ = ("_bytes", "_wanted")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._wanted: int | None = None
        """Bytes of the body that comes next; None before its length is whole."""

    @property
    def mid_frame(self) -> bool:
        """Whether a frame has begun and is not whole yet."""
        return self._wanted is not None or bool(self._bytes)

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are whole now, in order; raises FrameError, and must then be left."""
        self._bytes += data
        found: list[Frame] = []
        while (body := self._next()) is not None:
            frame = decode(body)
            if frame is not None:
                found.append(frame)
        return found

    def _next(self) -> bytes | None:
        if self._wanted is None:
            if len(self._bytes) < LENGTH_BYTES:
                return None
            self._wanted = body_bytes(bytes(self._bytes[:LENGTH_BYTES]))
            del self._bytes[:LENGTH_BYTES]
        if len(self._bytes) < self._wanted:
            return None
        body = bytes(self._bytes[: self._wanted])
        del self._bytes[: self._wanted]
        self._wanted = None
        return body


def _array(frame: Frame) -> list[Plain]:  # noqa: PLR0911 - one line for each kind
    match frame:
        case Call():
            return [1, frame.id, frame.name, frame.arguments]
        case Answer():
            return [2, frame.id, frame.value]
        case Failure():
            return [3, frame.id, frame.code, frame.message, frame.fields]
        case Cancel():
            return [4, frame.id]
        case Ping():
            return [5, frame.number]
        case Pong():
            return [6, frame.number]
        case _:
            return [7, frame.name, frame.facts]


def _first(fields: Sequence[Received], count: int) -> Sequence[Received]:
    """The first `count` fields; more may come of a newer program."""
    if len(fields) < count:
        raise FrameError("fields are missing")
    return fields[:count]


def _id(value: Received) -> int:
    if type(value) is not int or not 0 <= value <= ID_MAX:
        raise FrameError("a number out of its bounds")
    return value


def _name(value: Received) -> str:
    if type(value) is not str or not 0 < len(value) <= NAME_MAX_CHARACTERS:
        raise FrameError("a name that is not text, is empty or too long")
    return value


def _text(value: Received) -> str:
    if type(value) is not str:
        raise FrameError("not text")
    return value


def _read_call(fields: Sequence[Received]) -> Frame:
    number, name, arguments = _first(fields, 3)
    return Call(_id(number), _name(name), arguments)


def _read_answer(fields: Sequence[Received]) -> Frame:
    number, value = _first(fields, 2)
    return Answer(_id(number), value)


def _read_failure(fields: Sequence[Received]) -> Frame:
    number, code, message, facts = _first(fields, 4)
    return Failure(_id(number), _name(code), _text(message), facts)


def _read_notice(fields: Sequence[Received]) -> Frame:
    name, facts = _first(fields, 2)
    return Notice(_name(name), facts)


READERS: Final[dict[int, Callable[[Sequence[Received]], Frame]]] = {
    1: _read_call,
    2: _read_answer,
    3: _read_failure,
    4: lambda fields: Cancel(_id(*_first(fields, 1))),
    5: lambda fields: Ping(_id(*_first(fields, 1))),
    6: lambda fields: Pong(_id(*_first(fields, 1))),
    7: _read_notice,
}
"""How the fields behind each kind are read."""
