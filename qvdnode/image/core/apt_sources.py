"""Picks Debian's own archive out of a host's apt sources; pure.

Both forms are understood: one line each, and the stanzas of deb822. What belongs to others (other
suites, other components) stays out of the images we build.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

_ONE_LINE: Final = re.compile(r"deb\s+(\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)")


def for_suite(texts: Iterable[str], suite: str) -> tuple[str, ...]:
    """One `deb` line per archive and suite, in order, each once; empty when there is none."""
    wanted = {suite, f"{suite}-updates", f"{suite}-security"}
    lines: dict[str, None] = {}
    for text in texts:
        for uri, name, components in _entries(text):
            if name in wanted and "main" in components:
                lines[f"deb {uri} {name} main"] = None
    return tuple(lines)


def _entries(text: str) -> Iterable[tuple[str, str, list[str]]]:
    if re.search(r"(?im)^types\s*:", text):
        for stanza in re.split(r"\n\s*\n", text):
            yield from _stanza(_fields(stanza))
        return
    for line in text.splitlines():
        found = _ONE_LINE.fullmatch(line.split("#", maxsplit=1)[0].strip())
        if found is not None:
            yield found[2], found[3], found[4].split()


def _stanza(fields: Mapping[str, str]) -> Iterable[tuple[str, str, list[str]]]:
    if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes") == "no":
        return
    for uri in fields.get("uris", "").split():
        for name in fields.get("suites", "").split():
            yield uri, name, fields.get("components", "").split()


def _fields(stanza: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    last = ""
    for line in stanza.splitlines():
        if line.startswith("#"):
            continue
        if line[:1].isspace():
            fields[last] = f"{fields.get(last, '')} {line.strip()}"
        elif ":" in line:
            key, _, value = line.partition(":")
            last = key.strip().lower()
            fields[last] = value.strip()
    return fields
