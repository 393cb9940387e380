"""Selects Debian's own archives from a host's apt sources; pure.

Reads the one-line format and deb822. Third-party archives, other suites and other components are
not used for images.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

_RELEASES: Final = ("bookworm", "trixie", "forky")
_ONE_LINE: Final = re.compile(r"deb\s+(\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)")


def for_suite(texts: Sequence[str], suite: str) -> tuple[str, ...]:
    """One `deb` line per archive and suite, in order, each once; empty when there is none.

    If the host has no source for the suite, the archives of its own release are used.
    """
    releases = (suite, *(release for release in _RELEASES if release != suite))
    found = (tuple(_lines(texts, release, suite)) for release in releases)
    return next((lines for lines in found if lines), ())


def _lines(texts: Iterable[str], release: str, suite: str) -> dict[str, None]:
    """The archives that have `release`, as sources of `suite`."""
    wanted = {f"{release}{part}": f"{suite}{part}" for part in ("", "-updates", "-security")}
    lines: dict[str, None] = {}
    for text in texts:
        for uri, name, components in _entries(text):
            if name in wanted and "main" in components:
                lines[f"deb {uri} {wanted[name]} main"] = None
    return lines


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
