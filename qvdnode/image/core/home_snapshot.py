"""What a backup knows of one home at one moment: a head and an entry for each file; pure.

As bytes it is lines of JSON, compressed: the head, the entries with parents before children, and
the checksum of all that. Content is in blocks of their own, named by their checksums.
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
    """What stands at a path."""

    FOLDER = "folder"
    FILE = "file"
    HARD_LINK = "hard link"
    """A file of which `target` is another name, and that has its content here too."""
    LINK = "link"
    FIFO = "fifo"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, folder or link."""

    path: str
    """Below the home, which itself is empty. What is not UTF-8 is in surrogates."""
    kind: Kind
    mode: int
    owner: int
    group: int
    modified_ns: int
    changed_ns: int = 0
    """When anything of it was changed; with the inode it tells whether to read it again."""
    inode: int = 0
    size: int = 0
    blocks: tuple[tuple[int, str], ...] = ()
    """Numbers of blocks and their checksums; those that are not there are zeros."""
    target: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    """Extended attributes, their values in hexadecimal."""

    def same_file(self, other: "Entry") -> bool:
        """Whether nothing was changed between the two looks at a regular file."""
        return _state(self) == _state(other)


@dataclass(frozen=True, slots=True)
class Head:
    """Whose home it was, and when."""

    user_id: int
    login: str
    """Empty where the database knows no such user."""
    tenant: str
    made_at: str
    size_mib: int
    """Of the file that held it, 0 where it was limited by quota."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A home at one moment."""

    head: Head
    entries: tuple[Entry, ...]

    def blocks(self) -> set[str]:
        """The checksums of all blocks that it needs."""
        return {digest for entry in self.entries for _, digest in entry.blocks}

    def needs_mib(self) -> int:
        """A size of a new home that has room for all of it."""
        blocks = sum(len(entry.blocks) + 1 for entry in self.entries if entry.blocks)
        return 64 + blocks + len(self.entries) // 100

    def below(self, path: str) -> tuple[Entry, ...]:
        """What is at a path and below it, named from its last part on; raises NotFound."""
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
    """As the bytes that are kept."""
    lines = [[FORMAT, *astuple(snapshot.head)], *map(astuple, snapshot.entries)]
    text = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    return zlib.compress(text + hashlib.sha256(text).hexdigest().encode(), 6)


def decode(content: bytes) -> Snapshot:
    """The same again; raises Invalid for what is damaged, or could lead out of a home."""
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
    """The last snapshot of those named that is not after a moment, of which a part will do.

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
    """Without the first part of its path; a hard link to what is not among `names` is a file."""
    path, target = entry.path[cut:], entry.target
    if entry.kind is not Kind.HARD_LINK:
        return replace(entry, path=path)
    if target in names:
        return replace(entry, path=path, target=target[cut:])
    return replace(entry, path=path, kind=Kind.FILE, target="")


def _state(entry: Entry) -> tuple[int, ...]:
    return (entry.inode, entry.size, entry.modified_ns, entry.changed_ns)
