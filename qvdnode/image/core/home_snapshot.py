"""A snapshot of one home: a head and an entry for each file. Pure.

Stored as compressed lines of JSON: the head, the entries with parents before children, and a
checksum. The content of files is in separate blocks, named by their checksums.
"""

import hashlib
import json
import re
import zlib
from collections.abc import Iterable
from dataclasses import astuple, dataclass, replace
from enum import StrEnum
from typing import Any, Final

from qvdnode.model.errors import Invalid, NotFound

FORMAT: Final = 1
BLOCK_BYTES: Final = 1_048_576
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class Kind(StrEnum):
    """The type of a file."""

    FOLDER = "folder"
    FILE = "file"
    HARD_LINK = "hard link"
    """Another name of the file `target`; the entry has the content, too."""
    LINK = "link"
    FIFO = "fifo"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, folder or link."""

    path: str
    """Relative to the home, empty for the home itself. Bytes that are not UTF-8 are surrogates."""
    kind: Kind
    mode: int
    owner: int
    group: int
    modified_ns: int
    changed_ns: int = 0
    """ctime; together with the inode it shows whether the file must be read again."""
    inode: int = 0
    size: int = 0
    blocks: tuple[tuple[int, str], ...] = ()
    """Block numbers and checksums; blocks that are not listed are zeros."""
    target: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    """Extended attributes, their values in hexadecimal."""

    def same_file(self, other: "Entry") -> bool:
        """Whether a regular file was not changed between the two entries."""
        return _state(self) == _state(other)


@dataclass(frozen=True, slots=True)
class Head:
    """Whose home it was, and when."""

    user_id: int
    login: str
    """Empty if the database has no such user."""
    tenant: str
    made_at: str
    size_mib: int
    """Of the file that contained the home, 0 if a quota limited it."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The content of a home at one time."""

    head: Head
    entries: tuple[Entry, ...]

    def blocks(self) -> set[str]:
        """Return the checksums of all blocks that it needs."""
        return {digest for entry in self.entries for _, digest in entry.blocks}

    def needs_mib(self) -> int:
        """Return the size of a new home that has room for all of it."""
        blocks = sum(len(entry.blocks) + 1 for entry in self.entries if entry.blocks)
        return 64 + blocks + len(self.entries) // 100

    def below(self, path: str) -> tuple[Entry, ...]:
        """Return the entries at a path and below, relative to its parent; raises NotFound."""
        wanted = path.strip("/")
        if not wanted:
            return self.entries
        cut = wanted.rfind("/") + 1
        chosen = [
            entry
            for entry in self.entries
            if entry.path == wanted or entry.path.startswith(f"{wanted}/")
        ]
        if not chosen:
            raise NotFound(f"The backup of {self.head.made_at} has no {wanted} in that home.")
        names = {entry.path for entry in chosen}
        return tuple(_renamed(entry, cut, names) for entry in chosen)


def encode(snapshot: Snapshot) -> bytes:
    """Return the bytes to store."""
    lines = [[FORMAT, *astuple(snapshot.head)], *map(astuple, snapshot.entries)]
    text = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    return zlib.compress(text + hashlib.sha256(text).hexdigest().encode(), 6)


def decode(content: bytes) -> Snapshot:
    """Parse stored bytes; raises Invalid if they are damaged or a path leads out of the home."""
    try:
        text = zlib.decompress(content)
    except zlib.error as error:
        raise Invalid(f"it is damaged: {error}") from error
    text, checksum = text[:-64], text[-64:]
    if hashlib.sha256(text).hexdigest().encode() != checksum:
        raise Invalid("it is damaged: its checksum is wrong")
    head, *entries = map(json.loads, text.splitlines())
    if head[0] != FORMAT:
        raise Invalid(f"it has format {head[0]}, and this program reads {FORMAT}")
    return Snapshot(Head(*head[1:]), tuple(_entry(line) for line in entries))


def newest(names: Iterable[str], at: str) -> str:
    """Return the name of the last snapshot that is not after `at`, a whole time or its start.

    Raises NotFound.
    """
    found = [name for name in sorted(names) if not at or name[: len(at)] <= at]
    if not found:
        raise NotFound(f"The backup has nothing from {at} or before.")
    return found[-1]


def _entry(line: list[Any]) -> Entry:
    path, kind, mode, owner, group, modified_ns, changed_ns, inode, size, *rest = line
    blocks, target, attributes = rest
    entry = Entry(
        path=path,
        kind=Kind(kind),
        mode=mode,
        owner=owner,
        group=group,
        modified_ns=modified_ns,
        changed_ns=changed_ns,
        inode=inode,
        size=size,
        blocks=tuple((number, digest) for number, digest in blocks),
        target=target,
        attributes=tuple((name, value) for name, value in attributes),
    )
    names = [path, target] if entry.kind is Kind.HARD_LINK else [path]
    if not all(map(_is_inside, names)):
        raise Invalid(f"it names {path!r}, which could lead out of the home")
    if not all(_DIGEST.fullmatch(digest) for _, digest in entry.blocks):
        raise Invalid(f"it names a block of {path!r} that cannot be one")
    return entry


def _is_inside(path: str) -> bool:
    return not path or ("\0" not in path and {"", ".", ".."}.isdisjoint(path.split("/")))


def _renamed(entry: Entry, cut: int, names: set[str]) -> Entry:
    """Cut the start off its path. A hard link whose target is not in `names` becomes a file."""
    path, target = entry.path[cut:], entry.target
    if entry.kind is not Kind.HARD_LINK:
        return replace(entry, path=path)
    if target in names:
        return replace(entry, path=path, target=target[cut:])
    return replace(entry, path=path, kind=Kind.FILE, target="")


def _state(entry: Entry) -> tuple[int, ...]:
    return (entry.inode, entry.size, entry.modified_ns, entry.changed_ns)
