"""The configuration's reference, drawn from the settings classes."""

import inspect
import typing
from dataclasses import MISSING, Field, fields
from typing import Any, Final

from docs.source_notes import attribute_docs, one_line
from qvdnode.daemon.config import Config
from qvdnode.daemon.load import settable

HEAD: Final = """\
# Configuration

A TOML file, given with `qvdnode serve --config FILE`. Every key may be left out. An environment
variable `QVDNODE_SECTION__KEY` (such as `QVDNODE_NODE__STATE_DIR`) goes before the file. An unknown
key is refused by its name.
"""


def config_page() -> str:
    """Every key of the configuration file, with type, default and meaning."""
    parts = [HEAD]
    hints = typing.get_type_hints(Config)
    for section in fields(Config):
        kind = hints[section.name]
        explained = dict(attribute_docs(kind))
        parts.append(f"## `[{section.name}]`\n\n{one_line(inspect.getdoc(kind))}\n")
        parts += ["| key | type | default | meaning |", "|---|---|---|---|"]
        parts += [
            f"| `{item.name}` | {type_name(item.type)} | {default_of(item)} |"
            f" {explained.get(item.name, '')} |"
            for item in settable(kind)
        ]
        parts.append("")
    return "\n".join(parts)


def type_name(kind: object) -> str:
    """A type as a person writes it."""
    text = kind.__name__ if isinstance(kind, type) else str(kind)
    for long in ("pathlib.", "ipaddress.", "typing."):
        text = text.replace(long, "")
    return f"`{text}`".replace("|", "or")


def default_of(item: Field[Any]) -> str:
    """The default as it would stand in the file."""
    if item.default is not MISSING:
        return "none" if item.default is None else f"`{item.default}`"
    return "of this host" if item.default_factory is not MISSING else "**must be given**"
