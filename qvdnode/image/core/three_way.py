"""Merges two changes of one text: by lines, by records, and of the database of dpkg; pure."""

import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Final

from qvdnode.image.core.debian_version import is_older

_PACKAGE: Final = re.compile(r"^Package: (.+)$", re.MULTILINE)
_VERSION: Final = re.compile(r"^Version: (.+)$", re.MULTILINE)
_ARCHITECTURE: Final = re.compile(r"^Architecture: (.+)$", re.MULTILINE)
_INSTALLED: Final = re.compile(r"^Status: .* installed$", re.MULTILINE)


def merge_lines(old: Sequence[str], one: Sequence[str], two: Sequence[str]) -> list[str] | None:
    """Both changes of `old` together; None where they overlap or touch."""
    merged: list[str] = []
    at, at_one, at_two = 0, 0, 0
    for start, start_one, start_two, length in _common(old, one, two):
        part = _merge_part(old[at:start], one[at_one:start_one], two[at_two:start_two])
        if part is None:
            return None
        merged += part
        merged += old[start : start + length]
        at, at_one, at_two = start + length, start_one + length, start_two + length
    return merged


def _merge_part(old: Sequence[str], one: Sequence[str], two: Sequence[str]) -> Sequence[str] | None:
    if one in (old, two):
        return two
    return one if two == old else None


def _common(
    old: Sequence[str], one: Sequence[str], two: Sequence[str]
) -> list[tuple[int, int, int, int]]:
    """Runs of lines that all three have: where in each, and how long; an empty one at the end."""
    found = []
    ones = SequenceMatcher(None, old, one, autojunk=False).get_matching_blocks()
    twos = SequenceMatcher(None, old, two, autojunk=False).get_matching_blocks()
    first = second = 0
    while first < len(ones) and second < len(twos):
        one_at, two_at = ones[first], twos[second]
        start = max(one_at.a, two_at.a)
        end = min(one_at.a + one_at.size, two_at.a + two_at.size)
        if start < end:
            in_one, in_two = one_at.b + start - one_at.a, two_at.b + start - two_at.a
            found.append((start, in_one, in_two, end - start))
        if one_at.a + one_at.size < two_at.a + two_at.size:
            first += 1
        else:
            second += 1
    return [*found, (len(old), len(one), len(two), 0)]


def merge_text(old: bytes, new: bytes, user: bytes) -> bytes | None:
    """Both changes of a text by lines; None where they overlap, or where one is not text."""
    try:
        texts = [side.decode("utf-8").splitlines(keepends=True) for side in (old, new, user)]
    except UnicodeDecodeError:
        return None
    if any("\0" in line for text in texts for line in text):
        return None
    merged = merge_lines(*texts)
    return None if merged is None else "".join(merged).encode()


def merge_accounts(old: bytes, new: bytes, user: bytes) -> bytes:
    """Files such as /etc/passwd, by the name of each line: the base's lines, and the user's own.

    A line that both changed is the user's.
    """
    before, base, own = (_records(side) for side in (old, new, user))
    found = []
    for name, line in base.items():
        if name not in own:
            if name not in before:  # the base's new account
                found.append(line)
        elif own[name] == before.get(name):
            found.append(line)
        else:
            found.append(own[name])
    found += [line for name, line in own.items() if name not in base and name not in before]
    found += [
        line for name, line in own.items()
        if name not in base and name in before and line != before[name]
    ]  # fmt: skip
    return b"".join(line + b"\n" for line in found)


def _records(text: bytes) -> dict[bytes, bytes]:
    return {line.partition(b":")[0]: line for line in text.split(b"\n") if line}


def paragraphs(status: bytes) -> dict[str, str]:
    """The paragraphs of a dpkg status file, by package and architecture."""
    found = {}
    for text in status.decode("utf-8", errors="surrogateescape").split("\n\n"):
        name, architecture = _PACKAGE.search(text), _ARCHITECTURE.search(text)
        if name is not None:
            key = f"{name[1]}:{architecture[1]}" if architecture else name[1]
            found[key] = text.strip("\n")
    return found


def version_in(paragraph: str | None) -> str | None:
    """The version of a paragraph of an installed package; None for any other."""
    if paragraph is None or _INSTALLED.search(paragraph) is None:
        return None
    found = _VERSION.search(paragraph)
    return None if found is None else found[1]


def winner(old: str | None, new: str | None, user: str | None) -> str:
    """Whose package it is: `base`, `user`, or of both that changed it the higher version.

    The arguments are paragraphs.
    """
    versions = [version_in(paragraph) for paragraph in (old, new, user)]
    if versions[0] == versions[2] or versions[1] == versions[2]:
        # The same version: the user may still have marked or configured it.
        return "user" if user != old and new == old else "base"
    if versions[0] == versions[1]:
        return "user"
    if versions[2] is None or versions[1] is None:
        return "user"  # who removed it, or goes on using it, meant that
    return "user" if is_older(versions[1], versions[2]) else "base"


def merge_status(old: bytes, new: bytes, user: bytes) -> bytes:
    """The database of dpkg: each package by its `winner`."""
    before, base, own = paragraphs(old), paragraphs(new), paragraphs(user)
    found = []
    for name in [*base, *(name for name in own if name not in base)]:
        side: Mapping[str, str] = (
            own if winner(before.get(name), base.get(name), own.get(name)) == "user" else base
        )
        if name in side:
            found.append(side[name])
    text = "".join(f"{paragraph}\n\n" for paragraph in found)
    return text.encode("utf-8", errors="surrogateescape")
