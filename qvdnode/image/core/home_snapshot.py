"""A snapshot of one home: a head and an entry for each file. Pure.

Stored as compressed lines of JSON: the head, the entries with parents before children, and a
checksum. The content of files is in separate blocks, named by their checksums.
"""

import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, replace
from enum import StrEnum
from itertools import chain
from typing import Any, Final

from qvdnode.model.errors import Invalid, NotFound

FORMAT: Final = 1
BLOCK_BYTES: Final = 1_048_576
TEXT_BYTES_MAX: Final = 512 * 1_048_576
"""Size of a snapshot before compression: some three million files. A forged one could grow to a
thousand times its file."""
KEPT_ATTRIBUTES: Final = ("user.", "system.posix_acl_")
"""Starts of the extended attributes that a home keeps. Others have a meaning for the kernel, such
as the capabilities of a program."""
SIZE_MIB_MAX: Final = 1 << 32
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ", re.ASCII)
"""It becomes part of the name of a folder."""
_MODES: Final = range(0o10000)
_IDS: Final = range((1 << 32) - 1)
_SIZES: Final = range(1 << 63)
_TIMES: Final = range(-(1 << 63), 1 << 63)


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
    """Size of the file that contained the home; 0 if a quota limited it."""


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
    """Return the bytes to store; raises Invalid for a home with too many files."""
    digest, packer, packed, size = hashlib.sha256(), zlib.compressobj(6), bytearray(), 64
    # Line by line: whole, the text and its parts would take more memory than the entries.
    for line in chain([[FORMAT, *astuple(snapshot.head)]], map(astuple, snapshot.entries)):
        text = json.dumps(line).encode() + b"\n"
        size += len(text)
        if size > TEXT_BYTES_MAX:
            count = len(snapshot.entries)
            raise Invalid(f"The names of {count} files do not fit into one snapshot.")
        digest.update(text)
        packed += packer.compress(text)
    return bytes(packed + packer.compress(digest.hexdigest().encode()) + packer.flush())


def decode(content: bytes) -> Snapshot:
    """Parse stored bytes.

    Raises Invalid if they are damaged, or hold what no backup of a home does: a path that leads out
    of it, or an attribute that gives rights.
    """
    text = decompressed(content, TEXT_BYTES_MAX)
    text, checksum = text[:-64], text[-64:]
    if hashlib.sha256(text).hexdigest().encode() != checksum:
        raise Invalid("it is damaged: its checksum is wrong")
    try:
        lines = map(json.loads, _lines(text))
        head = _head(next(lines, None))
        entries = tuple(_entry(line) for line in lines)
    except (ValueError, TypeError, RecursionError) as error:
        raise Invalid(f"it is not a snapshot of a home: {error}") from error
    if not entries:
        raise Invalid("it holds no home")
    return Snapshot(head, entries)


def decompressed(content: bytes, size_max: int) -> bytes:
    """Decompress stored bytes; raises Invalid if they are damaged or more than `size_max`."""
    stream = zlib.decompressobj()
    try:
        text = stream.decompress(content, size_max)
    except zlib.error as error:
        raise Invalid(f"it is damaged: {error}") from error
    if not stream.eof:
        raise Invalid(f"it is damaged: it is cut off, or longer than {size_max} bytes")
    return text


def newest(names: Iterable[str], at: str) -> str:
    """Return the name of the last snapshot that is not after `at`, a whole time or its start.

    Raises NotFound.
    """
    found = [name for name in sorted(names) if not at or name[: len(at)] <= at]
    if not found:
        raise NotFound(f"The backup has nothing from {at} or before.")
    return found[-1]


def _lines(text: bytes) -> Iterator[bytes]:
    """The lines one by one: all at once, a forged text of line ends alone would fill the memory."""
    start = 0
    while start < len(text):
        end = text.find(b"\n", start)
        end = len(text) if end < 0 else end
        yield text[start:end]
        start = end + 1


def _head(line: Any) -> Head:  # noqa: ANN401 - any JSON
    version, user_id, login, tenant, made_at, size_mib = line
    if version != FORMAT:
        raise Invalid(f"it has format {version}, and this program reads {FORMAT}")
    if not _MOMENT.fullmatch(made_at):
        raise Invalid("it does not say when it was made")
    for number, allowed in ((user_id, _SIZES), (size_mib, range(SIZE_MIB_MAX))):
        _require_number(number, allowed, "")
    return Head(user_id, str(login), str(tenant), made_at, size_mib)


def _entry(line: Any) -> Entry:  # noqa: ANN401 - any JSON
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
    _check_names(entry)
    for number, allowed in (
        (mode, _MODES),
        (owner, _IDS),
        (group, _IDS),
        (modified_ns, _TIMES),
        (changed_ns, _TIMES),
        (inode, _SIZES),
        (size, _SIZES),
    ):
        _require_number(number, allowed, path)
    for number, digest in entry.blocks:
        _require_number(number, range(size // BLOCK_BYTES + 1), path)
        _require(_DIGEST.fullmatch(digest), path)
    for name, value in entry.attributes:
        _require(name.startswith(KEPT_ATTRIBUTES) and "\0" not in name, path)
        bytes.fromhex(value)
    return entry


def _check_names(entry: Entry) -> None:
    names = [entry.path, entry.target] if entry.kind is Kind.HARD_LINK else [entry.path]
    if not all(map(_is_inside, names)):
        raise Invalid(f"it names {entry.path!r}, which could lead out of the home")
    if entry.kind is Kind.LINK:
        _require(entry.target and "\0" not in entry.target, entry.path)


def _require_number(value: object, allowed: range, path: str) -> None:
    # JSON has fractions and truth values, too, which a range would take for whole numbers.
    _require(type(value) is int and value in allowed, path)


def _require(condition: object, path: str) -> None:
    if not condition:
        raise Invalid(f"it says of {path!r} what can be true of no file")


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
