"""Tokens: random text that proves who shows it. Only digests of them are ever kept."""

import hashlib
import secrets
from typing import Final

TOKEN_BYTES: Final = 32


def new_token() -> str:
    """43 characters of [A-Za-z0-9_-], 256 random bits."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def digest(token: str) -> bytes:
    """What is kept of a token. No salt and no stretching: a token cannot be guessed."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
