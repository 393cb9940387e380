"""Names of branches and tags, and the log of their moves; pure.

heads/IMAGE/BRANCH   moves from commit to commit
tags/IMAGE/TAG       is made once and never moves
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from qvdnode.image.core.commit import is_name
from qvdnode.model.errors import BadImage, Invalid

MAIN: Final = "main"
_PART: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Ref:
    """The name of a branch or a tag."""

    image: str
    name: str
    tag: bool = False

    def __post_init__(self) -> None:
        """Raises Invalid for a name that cannot be one."""
        for part in (self.image, self.name):
            if _PART.fullmatch(part) is None:
                raise Invalid(
                    f"{part!r} is not a name for an image, a branch or a tag: use up to 64 letters,"
                    " digits, dots, dashes or underscores, with a letter or digit first",
                    field="ref",
                )

    @property
    def path(self) -> str:
        """The full name, which is also the file's path."""
        return f"{'tags' if self.tag else 'heads'}/{self.image}/{self.name}"

    @property
    def short(self) -> str:
        """As people write it: IMAGE, IMAGE/BRANCH or IMAGE:TAG."""
        if self.tag:
            return f"{self.image}:{self.name}"
        return self.image if self.name == MAIN else f"{self.image}/{self.name}"


def parse_path(path: str) -> Ref:
    """The ref of a full name; raises Invalid."""
    kind, _, rest = path.partition("/")
    image, _, name = rest.partition("/")
    if kind not in {"heads", "tags"}:
        raise Invalid(f"{path!r} is neither a branch nor a tag", field="ref")
    return Ref(image, name, tag=kind == "tags")


@dataclass(frozen=True, slots=True)
class Move:
    """One line of the log: a ref was made, moved or deleted."""

    ref: str
    old: str | None
    new: str | None
    who: str
    why: str
    at: int
    """Seconds since 1970."""


def encode_move(move: Move) -> bytes:
    """The line of a move."""
    return json.dumps(asdict(move), sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"


def decode_move(line: bytes) -> Move:
    """The move of a line; raises BadImage."""
    try:
        move = Move(**json.loads(line))
        parse_path(move.ref)
    except (ValueError, TypeError, AttributeError, RecursionError, Invalid) as error:
        raise BadImage("a line of the log of refs is broken") from error
    names: list[object] = [name for name in (move.old, move.new) if name is not None]
    if not all(isinstance(name, str) and is_name(name) for name in names):
        raise BadImage("a line of the log of refs names no commit")
    texts: tuple[object, ...] = (move.who, move.why)
    if type(move.at) is not int or not all(isinstance(text, str) for text in texts):
        raise BadImage("a line of the log of refs is broken")
    return move


def effective(moves: Sequence[Move], now: str | None) -> list[Move]:
    """The moves of one ref that took place, newest first, given where it is `now`.

    A move is logged before it is made, so a crash can leave one in the log that was never made.
    """
    found: list[Move] = []
    expected = now
    for move in reversed(moves):
        if move.new == expected:
            found.append(move)
            expected = move.old
    return found
