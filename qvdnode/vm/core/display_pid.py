"""Parses the small files of numbers that a guest writes for its display. Pure.

They may hold any bytes.
"""

from typing import Final

DIGITS_MAX: Final = 7
"""Linux gives no pid above 4194304."""
EXIT_MAX: Final = 255
BYTES_MAX: Final = 16
"""Longest content that is read."""


def parse_pid(content: bytes) -> int | None:
    """The number in the file, if a process can have it."""
    digits = content.strip()
    if not digits.isdigit() or len(digits) > DIGITS_MAX:
        return None
    return int(digits) or None


def parse_exit(content: bytes) -> int | None:
    """The number in the file, if a shell can give it as an exit code."""
    digits = content.strip()
    if not digits.isdigit() or len(digits) > 3:
        return None
    code = int(digits)
    return code if code <= EXIT_MAX else None
