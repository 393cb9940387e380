"""Reads a folder as a tree to commit. Everything blocks."""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from qvdnode.image.core.manifest import (
    INLINE_MAX,
    ROOT,
    Kind,
    Node,
    Xattrs,
    check_node,
    keeps_xattr,
)
from qvdnode.image.store.file_index import FileIndex
from qvdnode.image.store.repository import Content, Repository
from qvdnode.model.errors import BadImage

CHUNK: Final = 1024 * 1024
HOLE: Final = 64 * 1024
"""Zeros of this size become a hole in a copy."""
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_KINDS: Final = {
    stat.S_IFDIR: Kind.FOLDER, stat.S_IFREG: Kind.FILE, stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFCHR: Kind.CHARACTER, stat.S_IFBLK: Kind.BLOCK, stat.S_IFIFO: Kind.FIFO,
    stat.S_IFSOCK: Kind.SOCKET,
}  # fmt: skip

Progress = Callable[[int], None]
"""Called with the number of bytes read so far; it may raise to end the reading."""


def _unheard(_done: int) -> None:
    """Ignore progress."""


@dataclass(frozen=True, slots=True)
class Source:
    """A folder to read."""

    root: Path
    move: bool = False
    """Whether its files may be moved into the store: nobody else has ever written into them."""
    work: Path | None = None
    """Where files are copied to that are not moved."""
    index: FileIndex | None = None
    """Digests of files that need not be read."""


class TreeReader:
    """Reads one folder; files that the store has are not copied."""

    def __init__(self, store: Repository, source: Source, progress: Progress = _unheard) -> None:
        self._store = store
        self._source = source
        self._progress = progress
        self._fresh: dict[str, Path] = {}
        self._first: dict[tuple[int, int], bytes] = {}
        """The first path of each file with several."""
        self._done = 0

    def read(self) -> Content:
        """The tree and the new objects; raises BadImage for what no image can hold, OSError."""
        nodes = {path: self._node(path, place, facts) for path, place, facts in self._sorted()}
        return Content(nodes, self._fresh)

    def _sorted(self) -> list[tuple[bytes, bytes, os.stat_result]]:
        root = os.fsencode(self._source.root)
        facts = os.lstat(root)
        if not stat.S_ISDIR(facts.st_mode):
            raise BadImage(f"{self._source.root} is not a folder")
        return sorted([(ROOT, root, facts), *self._below(root, facts.st_dev)])

    def _below(self, root: bytes, device: int) -> Iterator[tuple[bytes, bytes, os.stat_result]]:
        waiting = [(b"", root)]
        while waiting:
            above, folder = waiting.pop()
            with os.scandir(folder) as entries:
                for entry in entries:
                    path, facts = above + b"/" + entry.name, entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(facts.st_mode):
                        if facts.st_dev != device:
                            raise BadImage(
                                f"{os.fsdecode(path)} is another file system: unmount it first"
                            )
                        waiting.append((path, entry.path))
                    yield path, entry.path, facts

    def _node(self, path: bytes, place: bytes, facts: os.stat_result) -> Node:
        kind = _KINDS.get(stat.S_IFMT(facts.st_mode))
        if kind is None:
            raise BadImage(f"{os.fsdecode(path)} is of an unknown kind")
        if kind != Kind.FOLDER and facts.st_nlink > 1:
            first = self._first.setdefault((facts.st_dev, facts.st_ino), path)
            if first != path:
                return Node(Kind.HARDLINK, payload=first)
        kind, size, payload = self._content(kind, place, facts)
        node = Node(
            kind, stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid, facts.st_mtime_ns, size,
            payload, _xattrs(place),
        )  # fmt: skip
        try:
            check_node(node)
        except BadImage as error:
            raise BadImage(f"{os.fsdecode(path)} cannot be kept: {error}") from error
        return node

    def _content(self, kind: str, place: bytes, facts: os.stat_result) -> tuple[str, int, bytes]:
        match kind:
            case Kind.SYMLINK:
                return kind, 0, os.readlink(place)  # noqa: PTH115 - the path is bytes
            case Kind.CHARACTER | Kind.BLOCK:
                device = facts.st_rdev
                return kind, 0, b"%d:%d" % (os.major(device), os.minor(device))
            case Kind.FILE:
                index = self._source.index
                if index is not None and (known := index.digest(facts)) is not None:
                    return kind, facts.st_size, known.encode()
                return self._file(place)
            case _:
                return kind, 0, b""

    def _file(self, place: bytes) -> tuple[str, int, bytes]:
        with os.fdopen(os.open(place, _READ), "rb", buffering=0) as stream:
            facts = os.fstat(stream.fileno())
            size = facts.st_size
            if size <= INLINE_MAX:
                content = stream.read(INLINE_MAX + 1) or b""
                if len(content) != size:
                    _changed(place)
                return Kind.INLINE, size, content
            digest = self._digest(stream, size, place)
            if self._source.index is not None:
                self._source.index.add(facts, digest)
            if digest not in self._fresh:
                self._take(digest, stream, size, place)
            return Kind.FILE, size, digest.encode()

    def _digest(self, stream: BinaryIO, size: int, place: bytes) -> str:
        found = hashlib.sha256()
        read = 0
        while chunk := stream.read(CHUNK):
            found.update(chunk)
            read += len(chunk)
            self._done += len(chunk)
            self._progress(self._done)
        if read != size:
            _changed(place)
        return found.hexdigest()

    def _take(self, digest: str, stream: BinaryIO, size: int, place: bytes) -> None:
        if self._source.move:
            self._fresh[digest] = Path(os.fsdecode(place))
            return
        there = self._store.places.object(digest)
        if there.exists() and there.stat().st_size == size:
            return
        if self._source.work is None:
            raise BadImage("there is no place to copy files to")
        target = self._source.work / digest
        stream.seek(0)
        with self._store.files.open_new(target) as copy:
            if copy_sparse(stream, copy) != digest:
                _changed(place)
        self._fresh[digest] = target


def copy_sparse(source: BinaryIO, target: BinaryIO) -> str:
    """Copy with holes for zeros; returns the digest of what was copied."""
    found = hashlib.sha256()
    while chunk := source.read(HOLE):
        found.update(chunk)
        if any(chunk):
            target.write(chunk)
        else:
            target.seek(len(chunk), os.SEEK_CUR)
    target.truncate()
    return found.hexdigest()


def _xattrs(place: bytes) -> Xattrs:
    try:
        names = [os.fsencode(name) for name in os.listxattr(place, follow_symlinks=False)]
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return ()
        raise
    kept = sorted(name for name in names if keeps_xattr(name))
    return tuple((name, os.getxattr(place, name, follow_symlinks=False)) for name in kept)


def _changed(place: bytes) -> None:
    raise BadImage(f"{os.fsdecode(place)} was changed while it was read: try again when it is not")
