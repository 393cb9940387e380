"""Remembers which proofs were found good, for a short time and without keeping the proofs.

Keys are HMACs under a secret of this process: a dump of the memory gives no hash to guess against
that would be worth anything elsewhere.
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
    """Somebody who proved who they are."""

    value: T
    at_s: float
    good_until_s: float


class VerifiedCache(Generic[T]):
    """A bounded table from proofs to those who gave them."""

    def __init__(self, secret: bytes, clock: Clock, size_max: int) -> None:
        self._secret = secret
        self._clock = clock
        self._size_max = size_max
        self._table: OrderedDict[bytes, Remembered[T]] = OrderedDict()
        self._forgotten = 0

    def key(self, *parts: str) -> bytes:
        """The key of a proof; lengths are part of it, so that no two proofs share one."""
        text = b"".join(
            len(raw).to_bytes(4) + raw for raw in (p.encode(errors="surrogatepass") for p in parts)
        )
        return hmac.digest(self._secret, text, hashlib.sha256)

    def find(self, key: bytes, *, younger_than_s: float) -> T | None:
        """Who gave this proof, if that was checked recently enough and still holds."""
        entry = self._table.get(key)
        if entry is None:
            return None
        now_s = self._clock.monotonic_s()
        if now_s >= entry.good_until_s or now_s - entry.at_s > younger_than_s:
            return None
        return entry.value

    def checkpoint(self) -> int:
        """Take this before checking a proof, and give it to `remember`."""
        return self._forgotten

    def remember(
        self, key: bytes, value: T, checkpoint: int, *, good_for_s: float = float("inf")
    ) -> None:
        """Note that a proof was found good, unless somebody was forgotten while it was checked."""
        if checkpoint != self._forgotten:
            return
        now_s = self._clock.monotonic_s()
        self._table.pop(key, None)
        self._table[key] = Remembered(value, now_s, now_s + good_for_s)
        if len(self._table) > self._size_max:
            self._table.popitem(last=False)

    def refuse(self, key: bytes) -> None:
        """Forget one proof, found bad now."""
        self._table.pop(key, None)

    def forget(self, who: Callable[[T], bool]) -> None:
        """Forget everybody of whom `who` is true."""
        self._forgotten += 1
        for key in [key for key, entry in self._table.items() if who(entry.value)]:
            del self._table[key]
