"""Compares versions of Debian packages, as deb-version(7) says; pure."""

import re
from itertools import zip_longest
from typing import Final

_PARTS: Final = re.compile(r"(\D*)(\d*)")


def is_older(one: str, other: str) -> bool:
    """Whether the first version is before the second one."""
    return _key(one) < _key(other)


class _Text:
    """A part without digits: a tilde sorts before the end, letters before all else."""

    def __init__(self, text: str) -> None:
        self._ranks = [_rank(letter) for letter in text]

    def __lt__(self, other: "_Text") -> bool:
        for one, two in zip_longest(self._ranks, other._ranks, fillvalue=0):
            if one != two:
                return one < two
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Text) and self._ranks == other._ranks

    def __hash__(self) -> int:
        return hash(tuple(self._ranks))


def _rank(letter: str) -> int:
    if letter == "~":
        return -1
    return ord(letter) if letter.isalpha() else ord(letter) + 0x110000


def _key(version: str) -> tuple[int, list[tuple[_Text, int]], list[tuple[_Text, int]]]:
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, "0"
    return int(epoch) if epoch.isdecimal() else 0, _split(upstream), _split(revision)


def _split(text: str) -> list[tuple[_Text, int]]:
    found = _PARTS.findall(text)
    # An empty pair at the end makes a tilde sort before the end of the other version.
    return [(_Text(words), int(digits or 0)) for words, digits in found]
