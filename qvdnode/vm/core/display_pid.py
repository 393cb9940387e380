"""The pid that a guest says its nxagent has: a hint, and any bytes at all. Pure."""

from typing import Final

DIGITS_MAX: Final = 7
"""Linux gives no pid above 4194304."""
BYTES_MAX: Final = 16
"""Of the file; whoever writes more into it names no process."""


def parse_pid(content: bytes) -> int | None:
    """The number in the file, if a process can have it."""
    digits = content.strip()
    if not digits.isdigit() or len(digits) > DIGITS_MAX:
        return None
    return int(digits) or None
