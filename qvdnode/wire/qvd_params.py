"""The query of connect_to_vm and stop_vm as clients send it, judged key by key. Pure.

A display option reaches nxagent only if its whole value fits the option's grammar; anything else a
client of the field may send under `qvd.client.` is accepted, ignored and named to the caller.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import Forbidden, Invalid, NotFound
from qvdnode.model.ids import MAX_WIRE_ID, VmId
from qvdnode.wire.session_params import CUSTOM_NAME_MAX, CUSTOM_VALUE_MAX, custom_key

Query = Mapping[str, str] | Iterable[tuple[str, str]]

DEFAULT_LINK: Final = DisplayParams().link
CLIENT: Final = "qvd.client."
CUSTOM: Final = "custom."
CUSTOM_KEYS_MAX: Final = 32

GRAMMAR: Final[dict[str, re.Pattern[str]]] = {
    "os": re.compile(r"[a-z][a-z0-9]{0,15}"),
    "link": re.compile(r"modem|isdn|adsl|wan|lan|local|[1-9][0-9]{0,5}[kmgKMG]?"),
    "keyboard": re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,31}(?:/[A-Za-z0-9_.+-]{1,32}){0,2}"),
    "geometry": re.compile(r"[1-9][0-9]{1,4}x[1-9][0-9]{1,4}(?:[+-][0-9]{1,5}[+-][0-9]{1,5})?"),
    "fullscreen": re.compile(r"[01]"),
    "timezone": re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,31}(?:/[A-Za-z][A-Za-z0-9_+-]{0,31}){0,2}"),
    "type": re.compile(r"[a-z][a-z0-9-]{0,15}"),
}
"""What each option we use may look like; all within [A-Za-z0-9_/+.-]."""


_CUSTOM_NAME: Final = re.compile(rf"[A-Za-z0-9_.-]{{1,{CUSTOM_NAME_MAX}}}")
_ID: Final = re.compile(r"[0-9]{1,20}")
_NUMERIC_OFF: Final = frozenset({"", "0"})


@dataclass(frozen=True, slots=True)
class DisplayRequest:
    """What the client asked of its display, and the keys that were not followed."""

    params: DisplayParams
    ignored: tuple[str, ...]


def parse_id(query: Query) -> VmId:
    """The VM a request is about; raises Invalid(field="id") if missing, NotFound if impossible."""
    text = dict(query).get("id", "")
    if not text:
        raise Invalid("The request names no desktop: `id` is missing.", field="id")
    if not _ID.fullmatch(text):
        raise Invalid("`id` must be the number of a desktop.", field="id")
    if not 0 < int(text) <= MAX_WIRE_ID:
        raise NotFound(f"There is no desktop {text}; list your desktops to see their numbers.")
    return VmId(int(text))


def parse_display(query: Query) -> DisplayRequest:
    """Everything but `id`; raises Forbidden for a key of no known family, Invalid for an
    impossible `custom.` one."""
    options: dict[str, str] = {}
    custom: dict[str, str] = {}
    ignored: list[str] = []
    for key, value in dict(query).items():
        if key.startswith(CLIENT):
            _option(key.removeprefix(CLIENT), value, options, ignored)
        elif key.startswith(CUSTOM):
            custom[_custom_name(key)] = _custom_value(key, value)
        elif key != "id":
            raise Forbidden(f"The parameter {_shown(key)} may not be set by a client.")
    if len(custom) > CUSTOM_KEYS_MAX:
        raise Invalid(f"More than {CUSTOM_KEYS_MAX} custom parameters.", field=CUSTOM)
    if len(set(map(custom_key, custom))) < len(custom):
        raise Invalid(
            "Two custom parameters have names that are one in the guest, where `.` and `-` become"
            " `_`.",
            field=CUSTOM,
        )
    return DisplayRequest(_display_params(options, custom), tuple(ignored))


def _option(name: str, value: str, options: dict[str, str], ignored: list[str]) -> None:
    grammar = GRAMMAR.get(name)
    if value in _NUMERIC_OFF and name != "fullscreen":
        return  # clients send every option they know, also those that are off
    if grammar is not None and grammar.fullmatch(value):
        options[name] = value
    elif value:
        ignored.append(_shown(CLIENT + name))


def _display_params(options: dict[str, str], custom: dict[str, str]) -> DisplayParams:
    return DisplayParams(
        os=options.get("os"),
        link=options.get("link", DEFAULT_LINK),
        keyboard=options.get("keyboard"),
        geometry=options.get("geometry"),
        fullscreen=options.get("fullscreen") == "1",
        timezone=options.get("timezone"),
        client_type=options.get("type"),
        custom=custom,
    )


def _custom_name(key: str) -> str:
    name = key.removeprefix(CUSTOM)
    if not _CUSTOM_NAME.fullmatch(name):
        raise Invalid(
            f"The custom parameter {_shown(key)} has a name that a guest cannot take.", field=key
        )
    return name


def _custom_value(key: str, value: str) -> str:
    if len(value) > CUSTOM_VALUE_MAX or "\0" in value:
        raise Invalid(
            f"The custom parameter {_shown(key)} is longer than {CUSTOM_VALUE_MAX} characters or"
            " holds a zero byte.",
            field=key,
        )
    return value


def _shown(key: str) -> str:
    """A key as it may stand in a log line or a sentence."""
    return "".join(char if char.isprintable() else "?" for char in key[:64])
