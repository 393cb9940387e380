"""The certificate fingerprint that people compare and clients pin."""

import hashlib
from typing import Final

PREFIX: Final = "SHA256:"


def fingerprint_of(der: bytes) -> str:
    """`SHA256:` and the 64 hex digits of the digest of a certificate in DER."""
    return PREFIX + hashlib.sha256(der).hexdigest()
