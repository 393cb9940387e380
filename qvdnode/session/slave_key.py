"""The key of a session's slave channel, as clients of QVD expect it in the 101 answer."""

import secrets
import string
from typing import Final

LENGTH: Final = 64
ALPHABET: Final = string.ascii_letters + string.digits


def new_slave_key() -> str:
    """64 characters of [A-Za-z0-9], about 380 bits from the system's generator."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
