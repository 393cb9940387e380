"""Commits: what tree an image had, after which others, made when, by whom and why; pure.

A commit is one canonical JSON object, and its name is the SHA-256 of that.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Final

from qvdnode.model.errors import BadImage

NAME: Final = re.compile(r"[0-9a-f]{64}")
TEXT_MAX: Final = 4_096
COMMIT_MAX: Final = 64 * 1024
PARENTS_MAX: Final = 16
SHORT: Final = 12
"""Digits of a name that people are shown."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit."""

    manifest: str
    parents: tuple[str, ...]
    author: str
    made_at: int
    """Seconds since 1970, UTC."""
    message: str
    source: str
    """What it was made from: a tar, a folder, a desktop."""
    size_bytes: int
    """Content of all files; hard links count once."""
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def at(self) -> datetime:
        """When it was made."""
        return datetime.fromtimestamp(self.made_at, UTC)


def encode(commit: Commit) -> bytes:
    """The canonical bytes of a commit."""
    return (
        json.dumps(
            {"version": 1, **asdict(commit)}, sort_keys=True, separators=(",", ":"),
            ensure_ascii=True,
        ).encode("ascii")
        + b"\n"
    )  # fmt: skip


def name_of(raw: bytes) -> str:
    """The name of a commit."""
    return hashlib.sha256(raw).hexdigest()


def decode(raw: bytes) -> Commit:
    """The commit of canonical bytes; raises BadImage for any others."""
    if len(raw) > COMMIT_MAX:
        raise BadImage("the commit is too large")
    try:
        found = json.loads(raw)
        if not isinstance(found, dict) or found.pop("version", None) != 1:
            raise BadImage("the commit is of an unknown version")
        found["parents"] = tuple(found["parents"])
        commit = Commit(**found)
        _check(commit)
        same = encode(commit) == raw
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadImage("the commit is not valid") from error
    if not same:
        raise BadImage("the commit is not written in the canonical form")
    return commit


def is_name(text: str) -> bool:
    """Whether that is a full name of an object, a manifest or a commit."""
    return NAME.fullmatch(text) is not None


def _check(commit: Commit) -> None:
    names: tuple[object, ...] = (commit.manifest, *commit.parents)
    if not all(isinstance(name, str) and is_name(name) for name in names):
        raise BadImage("the commit names something that is not a digest")
    if len(commit.parents) > PARENTS_MAX:
        raise BadImage("the commit has too many parents")
    labels = (*commit.labels, *commit.labels.values())
    texts: tuple[object, ...] = (commit.author, commit.message, commit.source, *labels)
    if not all(isinstance(text, str) and len(text) <= TEXT_MAX for text in texts):
        raise BadImage("a text of the commit is too long, or no text")
    for number in (commit.made_at, commit.size_bytes):
        if type(number) is not int or not 0 <= number < 2**53:
            raise BadImage("a number of the commit is out of range")
