"""One exchange with the console of a desktop: what was typed there, and what it shows."""

from dataclasses import dataclass

SHOWN_MAX = 32 * 1024
"""Bytes that one exchange brings at most."""
TYPED_MAX = 4096
"""Bytes that one exchange takes at most."""


@dataclass(frozen=True, slots=True)
class ConsoleWish:
    """What an administrator's end wants. With nothing typed it waits for what is shown."""

    key: str
    """Of that end: one has the console of a desktop at a time."""
    typed: bytes = b""
    begins: bool = False
    """Whether this is the first exchange, which opens the console."""
    ends: bool = False
    """Whether this is the last one."""


@dataclass(frozen=True, slots=True)
class ConsoleOutput:
    """What the console shows since the last exchange; empty when nothing came for a while."""

    shown: bytes
    is_open: bool
    """False once the guest has closed it."""
