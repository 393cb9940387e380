"""The configuration's reference, drawn from the settings classes."""

import inspect
import json
import re
import types
import typing
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from docs.source_notes import attribute_docs, one_line
from qvdnode.daemon.config import Config
from qvdnode.daemon.load import settable

HEAD: Final = """\
# Configuration

A TOML file, given with `qvdnode serve --config FILE`. Every key may be left out. An environment
variable `QVDNODE_SECTION__KEY` (such as `QVDNODE_NODE__STATE_DIR`, or
`QVDNODE_CLIENTS__RELAY__DIAL_LIMIT_S` for a section in a section) goes before the file; a list is
written in it as in the file. An unknown key is refused by its name.
"""
WORDS: Final[dict[object, str]] = {
    bool: "yes or no",
    float: "number",
    int: "whole number",
    str: "text",
    Path: "path",
    types.NoneType: "",
}
OPENING: Final = re.compile(r"^The `\[\w+\]` section[.:]? ?")


def config_page() -> str:
    """Every key of the configuration file, with type, default and meaning."""
    hints = typing.get_type_hints(Config)
    parts = [HEAD]
    for section in fields(Config):
        parts += section_lines(section.name, hints[section.name])
    return "\n".join(parts)


def section_lines(name: str, kind: type[Any]) -> Iterator[str]:
    """One table, then those of the sections inside it."""
    yield f"## `[{name}]`\n"
    said = OPENING.sub("", one_line(inspect.getdoc(kind)))
    if said:
        yield f"{said[0].upper()}{said[1:]}\n"
    hints, explained = typing.get_type_hints(kind), dict(attribute_docs(kind))
    keys = [item for item in settable(kind) if not is_dataclass(hints[item.name])]
    yield from ("| key | type | default | meaning |", "|---|---|---|---|")
    for item in keys:
        said = explained.get(item.name, "")
        yield f"| `{item.name}` | {type_words(hints[item.name])} | {default_of(item)} | {said} |"
    yield ""
    for item in settable(kind):
        if is_dataclass(hints[item.name]):
            yield from section_lines(f"{name}.{item.name}", hints[item.name])


def type_words(kind: Any) -> str:  # noqa: ANN401 - any annotation
    """A type in the words of somebody who writes a configuration."""
    if kind in WORDS:
        return WORDS[kind]
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return " or ".join(f"`{word}`" for word in kind)
    parts = [type_words(part) for part in typing.get_args(kind) if part is not Ellipsis]
    if typing.get_origin(kind) is tuple:
        return f"list of {parts[0]}"
    if parts:
        return " or ".join(part for part in parts if part)
    name = str(kind.__name__)
    return {"IPv4Address": "address", "IPv4Network": "network"}.get(name, name)


def default_of(item: Field[Any]) -> str:
    """The default as it would stand in the file."""
    if item.default is MISSING:
        return "of this host" if item.default_factory is not MISSING else "must be given"
    value = item.default
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return f"`{json.dumps([str(part) for part in value])}`"
    return f"`{json.dumps(value if isinstance(value, bool | int | float) else str(value))}`"
