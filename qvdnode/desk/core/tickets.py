"""Tickets with which a page opens one desktop once, within half a minute; pure.

The node hands one out after the usual authorisation, and the WebSocket shows it. What a page on
another site might send along, cookies among it, is not enough then.
"""

import hashlib
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from qvdnode.model.errors import Forbidden, Throttled

LIFE_S: Final = 30.0
PER_USER_MAX: Final = 16
"""Unused tickets of one user."""

T = TypeVar("T")

UNKNOWN: Final = "This ticket was used already, or it has expired. Open the desktop again."


@dataclass(frozen=True, slots=True)
class _Entry(Generic[T]):
    holder: int
    what: T
    until_s: float


class Tickets(Generic[T]):
    """The tickets that are out. Only their digests are kept."""

    def __init__(self) -> None:
        self._out: dict[bytes, _Entry[T]] = {}

    def add(self, key: str, holder: int, what: T, now_s: float) -> None:
        """Take note of a new ticket of that user; raises Throttled."""
        self._forget(now_s)
        if sum(entry.holder == holder for entry in self._out.values()) >= PER_USER_MAX:
            raise Throttled(
                "Too many desktops are being opened at once; wait half a minute.",
                retry_after_s=LIFE_S,
            )
        self._out[_digest(key)] = _Entry(holder, what, now_s + LIFE_S)

    def take(self, key: str, holder: int, now_s: float) -> T:
        """What the ticket is for; it is void from here on. Raises Forbidden."""
        self._forget(now_s)
        entry = self._out.pop(_digest(key), None)
        if entry is None or entry.holder != holder:
            raise Forbidden(UNKNOWN)
        return entry.what

    def __len__(self) -> int:
        """How many are out."""
        return len(self._out)

    def _forget(self, now_s: float) -> None:
        # They are in the order of their ends.
        while self._out and next(iter(self._out.values())).until_s <= now_s:
            del self._out[next(iter(self._out))]


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", errors="surrogatepass")).digest()
