"""QEMU's machine protocol (QMP) as values: commands to bytes, bytes to messages. Pure.

QEMU is a program of ours, but one that a guest may have taken over: a message is bounded in size
and in depth, and what is none ends the connection. Events and answers arrive in any order.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

MESSAGE_MAX: Final = 256 * 1024
"""Bytes of one message; the answers to what we ask are far below it."""
DEPTH_MAX: Final = 32


class BadMessage(Exception):
    """What arrived is not QMP."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """The first message of a connection."""

    version: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Done:
    """A command was carried out."""

    number: int
    answer: object


@dataclass(frozen=True, slots=True)
class Refused:
    """A command was not carried out."""

    number: int | None
    """None when QEMU could not tell which."""
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened in the machine."""

    name: str
    data: Mapping[str, object]


Message: TypeAlias = Greeting | Done | Refused | Event


Order: TypeAlias = str | tuple[str, Mapping[str, object]]
"""A command's name, with its arguments if it takes some."""


def command(number: int, order: Order) -> bytes:
    """The bytes that ask for it."""
    name, arguments = (order, None) if isinstance(order, str) else order
    wanted: dict[str, object] = {"execute": name, "id": number}
    if arguments is not None:
        wanted["arguments"] = arguments
    return json.dumps(wanted, separators=(",", ":")).encode("ascii") + b"\n"


class MessageReader:
    """Makes messages of what arrives, in pieces of any size."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> list[Message]:
        """The messages that are whole now; raises BadMessage, after which nothing is."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if any(len(line) > MESSAGE_MAX for line in (*lines, self._rest)):
            raise BadMessage("a message of QEMU has no end")
        return [_message(line) for line in lines if line.strip()]


def _message(line: bytes) -> Message:
    # json.loads recurses: what is nested too deep would end in a RecursionError.
    if _depth(line) > DEPTH_MAX:
        raise BadMessage("a message of QEMU is nested too deep")
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadMessage("a message of QEMU is not JSON") from error
    match found:
        case {"QMP": {"version": {"qemu": {"major": int(a), "minor": int(b), "micro": int(c)}}}}:
            return Greeting((a, b, c))
        case {"return": answer, "id": int(number)}:
            return Done(number, answer)
        case {"error": {"class": str(kind), "desc": str(text)}}:
            number = found.get("id")
            return Refused(number if isinstance(number, int) else None, kind, text)
        case {"event": str(name)}:
            data = found.get("data")
            return Event(name, data if isinstance(data, dict) else {})
        case _:
            raise BadMessage("QEMU sent a message of no known kind")


def _depth(line: bytes) -> int:
    deepest = depth = 0
    for byte in line:
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest
