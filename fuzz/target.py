"""What one target of fuzzing is."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """A decoder of outside bytes and the promise it keeps."""

    check: Callable[[bytes], None]
    """Takes any bytes, and raises only when the promise is broken."""
    seeds: tuple[bytes, ...]
    """What it is normally given, to start from."""
