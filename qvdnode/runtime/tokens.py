"""Random bearer tokens; only their digests are stored."""

import hashlib
import secrets
from typing import Final

TOKEN_BYTES: Final = 32


def new_token() -> str:
    """Make a token: 43 characters of [A-Za-z0-9_-], 256 random bits."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def digest(token: str) -> bytes:
    """Return the digest to store. No salt or stretching: 256 random bits cannot be guessed."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
