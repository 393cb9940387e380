"""The type of a fuzz target."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

PIECES_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Target:
    """A decoder of outside bytes and the promise it keeps."""

    check: Callable[[bytes], None]
    """A function that takes any bytes and raises only if the promise is broken."""
    seeds: tuple[bytes, ...]
    """Valid inputs to start from."""
    size_max: int = 4096
    """Bytes of the longest input that is tried; above the decoder's own limit."""
    weight: int = 1
    """Its share of the time: more for input of unauthenticated clients and for nested formats."""


def pieces(data: bytes) -> list[bytes]:
    """The same bytes as they may arrive: one by one, or, if there are many, a few at a time."""
    step = len(data) // PIECES_MAX + 1
    return [data[at : at + step] for at in range(0, len(data), step)]
