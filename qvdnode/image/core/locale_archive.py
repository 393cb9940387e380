"""How glibc names locales and stores them. Pure: the bytes of an archive come with an image."""

import re
import struct
from typing import Final

MAGIC: Final = 0xDE020109
HEADER: Final = struct.Struct("<14I")
ENTRY: Final = struct.Struct("<3I")
"""An entry of the table of names: hash, offset of the name, offset of its record; or zeros."""
ENTRIES_MAX: Final = 65_536
NAME_MAX: Final = 64

BUILT_IN: Final = frozenset({"C", "POSIX", "C.utf8"})
"""Locales that Debian's C library has without any file."""
_CODESET: Final = re.compile(r"\.([A-Za-z0-9_-]+)")


def filed_as(name: str) -> str:
    """Return the name under which the C library stores a locale: es_ES.utf8 for es_ES.UTF-8."""

    def codeset(found: re.Match[str]) -> str:
        return "." + "".join(letter for letter in found[1].lower() if letter.isalnum())

    return _CODESET.sub(codeset, name, count=1)


def table_of(header: bytes) -> tuple[int, int] | None:
    """Where the table of names begins and how many bytes it takes; None for no archive."""
    if len(header) < HEADER.size:
        return None
    magic, _serial, offset, _used, size, *_rest = HEADER.unpack_from(header)
    if magic != MAGIC or size > ENTRIES_MAX:
        return None
    return offset, size * ENTRY.size


def name_offsets(table: bytes) -> list[int]:
    """Where the names are, which are text of at most NAME_MAX bytes up to a zero byte."""
    whole = len(table) // ENTRY.size * ENTRY.size
    return sorted(
        name for _hash, name, record in ENTRY.iter_unpack(table[:whole]) if name and record
    )
