"""Values of the API as people read them: local times, sizes with units, short numbers; pure.

The name of a field says what its value means: `_at`, `_bytes`, `_mib`, `_pct`. JSON stays exact.
"""

import re
from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Final

from qvdnode.wire.plain_text import printable

UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
STEP: Final = 1024
TIMES: Final = re.compile(r"(^|[._])(at|since)$")
SUFFIXES: Final = re.compile(r"_(at|bytes|mib|pct)\b")


def label(name: str) -> str:
    """The name of a field without the unit, which stands beside the value."""
    return printable(SUFFIXES.sub("", name).replace("_", " ").replace(".", " "))


def cell(value: object, name: str = "", zone: tzinfo | None = None) -> str:
    """One value; the zone is where the reader is, None being where this program runs."""
    match value:
        case None | "" | []:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return measured(value, name)
        case Mapping():
            parts = [
                f"{printable(str(key))}={cell(part, str(key), zone)}" for key, part in value.items()
            ]
            return ", ".join(parts) or "-"
        case list():
            return ", ".join(cell(part, name, zone) for part in value)
        case _:
            return local_time(str(value), zone) if TIMES.search(name) else printable(str(value))


def measured(number: float, name: str) -> str:
    """A number with the unit that the field's name tells."""
    words = re.split(r"[._]", name)
    if "bytes" in words:
        return size(number)
    if words[-1] == "mib":
        return size(number * STEP**2)
    unit = " %" if words[-1] == "pct" else " s" if words[0] == "steps" else ""
    return short(number) + unit


def size(count: float) -> str:
    """Bytes with the unit that leaves one to four digits before the point."""
    unit = 0
    while abs(count) >= STEP and unit < len(UNITS) - 1:
        count, unit = count / STEP, unit + 1
    return f"{short(count, 1)} {UNITS[unit]}"


def short(number: float, places: int = 3) -> str:
    """A number with at most so many digits after the point, and no zeros at their end."""
    return f"{number:.{places}f}".rstrip("0").rstrip(".")


def local_time(text: str, zone: tzinfo | None) -> str:
    """An ISO 8601 moment in the reader's zone, to the second; other text as it is."""
    try:
        return datetime.fromisoformat(text).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return printable(text)
