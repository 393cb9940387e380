"""Control messages between the page and the node, JSON in text frames of the WebSocket; pure.

Binary frames are RFB and pass unread. What the page sends is judged here, field by field.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import Invalid

TEXT_FRAME_MAX: Final = 64 * 1024
"""Characters of a text frame."""
TYPED_MAX: Final = 4096
"""Characters that can be typed at once; more is pasted instead."""
KEYBOARD: Final = re.compile(r"[a-z]{2,3}")
TIMEZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,31}(?:/[A-Za-z][A-Za-z0-9_+-]{0,31}){0,2}")
SIDE_MAX: Final = 20_000


@dataclass(frozen=True, slots=True)
class Open:
    """The first message: the ticket, and what the page is like."""

    ticket: str
    width: int
    height: int
    keyboard: str | None = None
    """A layout of X, such as `es`."""
    timezone: str | None = None


@dataclass(frozen=True, slots=True)
class Typed:
    """Text to type in the desktop that no key stands behind."""

    text: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The user does not want the helper who asked with that key."""

    key: str


Message = Open | Typed | Refused


def parse(frame: str) -> Message:
    """Read a text frame of the page; raises Invalid."""
    if len(frame) > TEXT_FRAME_MAX:
        raise Invalid(f"a control message has at most {TEXT_FRAME_MAX} characters")
    try:
        said = json.loads(frame)
    except (ValueError, RecursionError) as error:
        raise Invalid("a control message must be JSON") from error
    if not isinstance(said, dict):
        raise Invalid("a control message must be an object")
    match said.get("type"):
        case "open":
            return Open(
                ticket=_text(said, "ticket", 128),
                width=_number(said, "width"),
                height=_number(said, "height"),
                keyboard=_word(said, "keyboard", KEYBOARD),
                timezone=_word(said, "timezone", TIMEZONE),
            )
        case "text":
            return Typed(typable(_text(said, "text", TYPED_MAX)))
        case "refuse":
            return Refused(_text(said, "key", 128))
        case _:
            raise Invalid("this type of control message is not known", field="type")


def typable(text: str) -> str:
    """The text without what no key makes: control characters but for newline and tab."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        char
        for char in plain
        if char in "\n\t" or (ord(char) >= 0x20 and not 0x7F <= ord(char) < 0xA0)
        if not 0xD800 <= ord(char) <= 0xDFFF
    )


def display_params(wishes: Open, width: int, height: int) -> DisplayParams:
    """What the guest's display is told about the page, at the size that Xvnc begins with."""
    return DisplayParams(
        os="browser",
        link="lan",
        keyboard=None if wishes.keyboard is None else f"pc105/{wishes.keyboard}",
        geometry=f"{width}x{height}",
        timezone=wishes.timezone,
        client_type="browser",
    )


def progress(sentence: str) -> str:
    """What the user waits for."""
    return _frame(type="progress", sentence=sentence)


def shown() -> str:
    """The desktop has opened its window."""
    return _frame(type="shown")


def typed(*, done: bool, sentence: str = "") -> str:
    """Whether a text was typed; if not, why."""
    return _frame(type="typed", done=done, sentence=sentence)


def ended(code: str, sentence: str, *, again: bool) -> str:
    """Why there is nothing more to come; `again` has the page try again by itself."""
    return _frame(type="ended", code=code, sentence=sentence, again=again)


def _frame(**fields: object) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def _text(said: dict[str, Any], name: str, most: int) -> str:
    value = said.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= most:
        raise Invalid(f"`{name}` must be a text of 1 to {most} characters", field=name)
    return value


def _number(said: dict[str, Any], name: str) -> int:
    value = said.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= SIDE_MAX:
        raise Invalid(f"`{name}` must be 1..{SIDE_MAX}", field=name)
    return value


def _word(said: dict[str, Any], name: str, grammar: re.Pattern[str]) -> str | None:
    value = said.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or grammar.fullmatch(value) is None:
        raise Invalid(f"`{name}` has a value that is not understood", field=name)
    return value
