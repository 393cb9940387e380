"""Caches verified credentials for a limited time, without storing the credentials.

The keys are HMACs under a secret of this process. A dump of its memory therefore holds no password
hash that can be attacked elsewhere.
"""

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from qvdnode.runtime.clock import Clock

SECRET_BYTES: Final = 32

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Remembered(Generic[T]):
    """One verified principal, and how long it stays valid."""

    value: T
    at_s: float
    good_until_s: float


class VerifiedCache(Generic[T]):
    """A bounded table from keys of credentials to verified principals."""

    def __init__(self, secret: bytes, clock: Clock, size_max: int) -> None:
        self._secret = secret
        self._clock = clock
        self._size_max = size_max
        self._table: OrderedDict[bytes, Remembered[T]] = OrderedDict()
        self._forgotten = 0

    def key(self, *parts: str) -> bytes:
        """Return the key of some credentials. Lengths are part of it, so that none share a key."""
        text = b"".join(
            len(raw).to_bytes(4) + raw for raw in (p.encode(errors="surrogatepass") for p in parts)
        )
        return hmac.digest(self._secret, text, hashlib.sha256)

    def find(self, key: bytes, *, younger_than_s: float) -> T | None:
        """Return the principal of a key if it was verified recently enough and is still valid."""
        entry = self._table.get(key)
        if entry is None:
            return None
        now_s = self._clock.monotonic_s()
        if now_s >= entry.good_until_s or now_s - entry.at_s > younger_than_s:
            return None
        return entry.value

    def checkpoint(self) -> int:
        """Return a counter to take before a check and to give to `remember` after it."""
        return self._forgotten

    def remember(
        self, key: bytes, value: T, checkpoint: int, *, good_for_s: float = float("inf")
    ) -> None:
        """Store a verified principal, unless entries were invalidated during the check."""
        if checkpoint != self._forgotten:
            return
        now_s = self._clock.monotonic_s()
        self._table.pop(key, None)
        self._table[key] = Remembered(value, now_s, now_s + good_for_s)
        if len(self._table) > self._size_max:
            self._table.popitem(last=False)

    def refuse(self, key: bytes) -> None:
        """Remove one key, whose credentials were found wrong."""
        self._table.pop(key, None)

    def forget(self, who: Callable[[T], bool]) -> None:
        """Remove all entries for which `who` is true."""
        self._forgotten += 1
        for key in [key for key, entry in self._table.items() if who(entry.value)]:
            del self._table[key]
