"""Encryption of the membership protocol: AES-GCM with keys that can be changed while it runs.

The first key encrypts; every key decrypts. To change the key: add the new one on every node, put it
first on every node, remove the old one on every node. A replayed packet decrypts too; the protocol
ignores it, because a member never goes back to an older incarnation.
Nothing here does I/O; the nonce comes from the caller.
"""

from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FORMAT: Final = b"\x01"
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
OVERHEAD_BYTES: Final = len(FORMAT) + NONCE_BYTES + TAG_BYTES
KEY_BYTES: Final = (16, 24, 32)
KEYS_MAX: Final = 8
"""Every key is tried on a packet, and anybody can send packets."""


class Forged(ValueError):
    """No key of the ring decrypts these bytes for this farm."""


class Keyring:
    """The keys of one farm."""

    def __init__(self, farm: str, keys: Sequence[bytes]) -> None:
        """Take 1 to 8 keys of 16, 24 or 32 bytes; raises ValueError."""
        if not 1 <= len(keys) <= KEYS_MAX:
            raise ValueError(f"a keyring has 1 to {KEYS_MAX} keys")
        if any(len(key) not in KEY_BYTES for key in keys):
            raise ValueError("a key has 16, 24 or 32 bytes")
        self._farm = farm.encode()
        self.keys = tuple(keys)
        self._ciphers = [AESGCM(key) for key in keys]

    def seal(self, plain: bytes, nonce: bytes) -> bytes:
        """Encrypt; a nonce of 12 random bytes must never be used twice."""
        sealed = self._ciphers[0].encrypt(nonce, plain, self._farm)
        return FORMAT + nonce + sealed

    def open(self, sealed: bytes) -> bytes:
        """Decrypt; raises Forged."""
        nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        if sealed[:1] != FORMAT or len(body) < TAG_BYTES:
            raise Forged("too short, or of another format")
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(nonce, body, self._farm)
            except InvalidTag:
                continue
        raise Forged("no key fits")

    def with_key(self, key: bytes, *, first: bool) -> "Keyring":
        """Return a ring with this key added last, or put first; raises ValueError."""
        others = [other for other in self.keys if other != key]
        return self._with([key, *others] if first else [*others, key])

    def without_key(self, key: bytes) -> "Keyring":
        """Return a ring without this key; raises ValueError when it is the only one."""
        return self._with([other for other in self.keys if other != key])

    def _with(self, keys: Sequence[bytes]) -> "Keyring":
        return Keyring(self._farm.decode(), keys)
