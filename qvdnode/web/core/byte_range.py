"""The header `Range` of a download: which bytes of a file a browser wants. Pure."""

import re
from typing import Final

_RANGE: Final = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")


def wanted_range(header: str | None, size: int) -> tuple[int, int]:
    """The first byte that is wanted and the one behind the last.

    The whole file without a header, and for one that asks for something else than one range with
    bytes in it: a server may answer those with everything.
    """
    match = None if header is None else _RANGE.fullmatch(header.strip())
    if match is None or match[0] == "bytes=-":
        return 0, size
    first, last = match[1], match[2]
    if not first:
        begin, end = max(0, size - int(last)), size
    else:
        begin, end = int(first), size if not last else min(size, int(last) + 1)
    return (begin, end) if begin < end else (0, size)


def attachment(name: str) -> str:
    """The header `Content-Disposition` that makes browsers store a file under this name."""
    plain = re.sub(r'[^\x20-\x7e]|["\\%]', "_", name)
    coded = "".join(
        char if re.fullmatch(r"[A-Za-z0-9!#$&+.^_`|~-]", char) else _percent(char) for char in name
    )
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{coded}"


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode())
