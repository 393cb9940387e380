"""One change of the farm's data, as it is told to those who watch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

KINDS: Final = (
    "tenant",
    "user",
    "flavour",
    "image",
    "vm",
    "session",
    "node",
    "token",
    "audit",
)
"""What watchers are told of."""


@dataclass(frozen=True, slots=True)
class Change:
    """One row that was inserted, updated or deleted."""

    kind: str
    id: int
    change: str
    """insert, update or delete."""
    facts: Mapping[str, object]
    """A few of the row's fields, such as its state."""
    key: str = ""
    """The same on every node that hears of the change; empty from a database of an older schema."""
