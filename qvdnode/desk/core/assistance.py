"""Looking over a user's shoulder: its states, and what a helper's page may send; pure.

Rule 1: nothing of the desktop goes to the helper before the user agreed.
Rule 2: whoever leaves ends it, and so does the end of the user's session.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from qvdnode.model.errors import Invalid

INPUT_MAX: Final = 512
"""Characters of a helper's message."""
SIDE_MAX: Final = 20_000
BUTTONS_MAX: Final = 31
KEY_CODE_MAX: Final = 32


class State(StrEnum):
    """How far it is."""

    ASKED = "asked"
    SHARED = "shared"
    ENDED = "ended"


class Event(StrEnum):
    """What happens to it."""

    AGREED = "agreed"
    REFUSED = "refused"
    LEFT = "left"
    EXPIRED = "expired"


TRANSITIONS: Final[dict[State, dict[Event, State]]] = {
    State.ASKED: {
        Event.AGREED: State.SHARED,
        Event.REFUSED: State.ENDED,
        Event.LEFT: State.ENDED,
        Event.EXPIRED: State.ENDED,
    },
    State.SHARED: {Event.LEFT: State.ENDED, Event.REFUSED: State.ENDED},
    State.ENDED: {},
}


def step(state: State, event: Event) -> State | None:
    """The next state, or None to ignore the event."""
    return TRANSITIONS[state].get(event)


@dataclass(frozen=True, slots=True)
class Pointer:
    """Where the helper's pointer is on the desktop, and which buttons are down."""

    x: int
    y: int
    buttons: int


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the helper's, by its place on the board."""

    code: str
    down: bool


def parse_input(frame: str) -> Pointer | Key:
    """Read what a helper's page sends; raises Invalid."""
    if len(frame) > INPUT_MAX:
        raise Invalid(f"a message of a helper has at most {INPUT_MAX} characters")
    try:
        said = json.loads(frame)
    except (ValueError, RecursionError) as error:
        raise Invalid("a message of a helper must be JSON") from error
    if not isinstance(said, dict):
        raise Invalid("a message of a helper must be an object")
    match said.get("type"):
        case "pointer":
            x, y = _number(said, "x", SIDE_MAX), _number(said, "y", SIDE_MAX)
            return Pointer(x, y, _number(said, "buttons", BUTTONS_MAX))
        case "key":
            return Key(_code(said), said.get("down") is True)
        case _:
            raise Invalid("this type of message is not known", field="type")


def input_message(given: Pointer | Key) -> str:
    """The same for the user's page, made anew."""
    if isinstance(given, Pointer):
        return _frame(type="pointer", x=given.x, y=given.y, buttons=given.buttons)
    return _frame(type="key", code=given.code, down=given.down)


def asked(key: str, helper: str, *, helps: bool) -> str:
    """What the user's page gets to know of a helper who asks."""
    return _frame(type="assistance", key=key, helper=helper, helps=helps)


def state_message(state: State, reason: str = "") -> str:
    """What both pages get to know of its progress."""
    return _frame(type=state.value, reason=reason)


def _frame(**fields: object) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def _number(said: dict[str, Any], name: str, most: int) -> int:
    value = said.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise Invalid(f"`{name}` must be 0..{most}", field=name)
    return value


def _code(said: dict[str, Any]) -> str:
    value = said.get("code")
    if not isinstance(value, str) or not 0 < len(value) <= KEY_CODE_MAX or not value.isalnum():
        raise Invalid("`code` must be the place of a key, such as KeyA", field="code")
    return value
