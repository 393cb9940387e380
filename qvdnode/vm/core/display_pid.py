"""Parses the pid file that a guest writes for its nxagent. It may hold any bytes. Pure."""

from typing import Final

DIGITS_MAX: Final = 7
"""Linux gives no pid above 4194304."""
BYTES_MAX: Final = 16
"""Longest content that is read."""


def parse_pid(content: bytes) -> int | None:
    """The number in the file, if a process can have it."""
    digits = content.strip()
    if not digits.isdigit() or len(digits) > DIGITS_MAX:
        return None
    return int(digits) or None
