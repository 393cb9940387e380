"""Reads a folder as a tree to commit, also while a guest changes it. Everything blocks.

Whoever writes into the folder may put a link in place of a folder at any time. So no path is used
that the kernel would look up from the host's root: each file is reached through its own folder,
which is opened below the root of the tree.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, NoReturn, Self

from qvdnode.host import linux_calls
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
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_REPLACED: Final = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EINVAL}
"""Errors of a path that became something else after its folder was listed; EINVAL is that of
readlink on what is not a link."""
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
    entries_max: int | None = None
    """Files and folders beyond which it is refused."""


class _Root:
    """The root of a tree, held open; a context manager."""

    def __init__(self, path: Path) -> None:
        """Raises BadImage where there is no folder, OSError."""
        self._path = path
        self._folder: tuple[bytes, int] | None = None
        """The folder that was used last, and its descriptor."""
        try:
            self._handle = os.open(path, _FOLDER | os.O_CLOEXEC)
        except NotADirectoryError as error:
            raise BadImage(f"{path} is not a folder") from error

    def __enter__(self) -> Self:
        """Open already."""
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Close."""
        if self._folder is not None:
            os.close(self._folder[1])
        os.close(self._handle)

    def facts(self) -> os.stat_result:
        """Facts about the root itself."""
        return os.fstat(self._handle)

    @contextmanager
    def listed(self, path: bytes) -> Iterator[Iterator[os.DirEntry[str]]]:
        """The entries of a folder; raises BadImage when it is none any more, OSError."""
        with steady(path):
            handle = self._open(path, _FOLDER)
        try:
            with os.scandir(handle) as entries:
                yield entries
        finally:
            os.close(handle)

    def place(self, path: bytes) -> bytes:
        """A path to a file, by its folder's descriptor; good until the next call. Raises OSError.

        Whoever uses it must not follow a link that the file itself may be.
        """
        if path == ROOT:
            return b"/proc/self/fd/%d/." % self._handle
        above, _, name = path.rpartition(b"/")
        if self._folder is None or self._folder[0] != above:
            opened = self._open(above, os.O_PATH | os.O_DIRECTORY)
            if self._folder is not None:
                os.close(self._folder[1])
            self._folder = above, opened
        return b"/proc/self/fd/%d/%s" % (self._folder[1], name)

    def own_path(self, path: bytes) -> Path:
        """The path from the host's root: only for trees into which nobody writes."""
        return self._path / os.fsdecode(path[1:])

    def _open(self, path: bytes, flags: int) -> int:
        return linux_calls.open_in_root(self._handle, os.fsdecode(path) or "/", flags)


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
        with self._opened():
            nodes = {path: self._node(path, facts) for path, facts in self._sorted()}
        return Content(nodes, self._fresh)

    @contextmanager
    def _opened(self) -> Iterator[None]:
        with _Root(self._source.root) as self._root:
            yield

    def _sorted(self) -> list[tuple[bytes, os.stat_result]]:
        facts = self._root.facts()
        return sorted([(ROOT, facts), *self._below(facts.st_dev)], key=lambda found: found[0])

    def _below(self, device: int) -> Iterator[tuple[bytes, os.stat_result]]:
        waiting, most, found = [b""], self._source.entries_max, 0
        while waiting:
            above = waiting.pop()
            with self._root.listed(above) as entries:
                for entry in entries:
                    path = above + b"/" + os.fsencode(entry.name)
                    try:
                        facts = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        _changed(path)
                    if stat.S_ISDIR(facts.st_mode):
                        if facts.st_dev != device:
                            raise BadImage(
                                f"{os.fsdecode(path)} is another file system: unmount it first"
                            )
                        waiting.append(path)
                    yield path, facts
                    found += 1
                    if most is not None and found > most:
                        raise BadImage(f"there are over {most} files and folders in it")

    def _node(self, path: bytes, facts: os.stat_result) -> Node:
        kind = _KINDS.get(stat.S_IFMT(facts.st_mode))
        if kind is None:
            raise BadImage(f"{os.fsdecode(path)} is of an unknown kind")
        if kind != Kind.FOLDER and facts.st_nlink > 1:
            first = self._first.setdefault((facts.st_dev, facts.st_ino), path)
            if first != path:
                return Node(Kind.HARDLINK, payload=first)
        try:
            place = self._root.place(path)
            kind, size, payload = self._content(kind, path, place, facts)
            xattrs = _xattrs(place)
        except OSError as error:  # not `steady`, which would cost more than all the rest
            if error.errno in _REPLACED:
                _changed(path)
            raise
        node = Node(
            kind, stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid, facts.st_mtime_ns, size,
            payload, xattrs,
        )  # fmt: skip
        try:
            check_node(node)
        except BadImage as error:
            raise BadImage(f"{os.fsdecode(path)} cannot be kept: {error}") from error
        return node

    def _content(
        self, kind: str, path: bytes, place: bytes, facts: os.stat_result
    ) -> tuple[str, int, bytes]:
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
                return self._file(path, place)
            case _:
                return kind, 0, b""

    def _file(self, path: bytes, place: bytes) -> tuple[str, int, bytes]:
        with os.fdopen(os.open(place, _READ), "rb", buffering=0) as stream:
            facts = os.fstat(stream.fileno())
            if not stat.S_ISREG(facts.st_mode):
                _changed(path)
            size = facts.st_size
            if size <= INLINE_MAX:
                content = stream.read(INLINE_MAX + 1) or b""
                if len(content) != size:
                    _changed(path)
                return Kind.INLINE, size, content
            digest = self._digest(stream, size, path)
            if self._source.index is not None:
                self._source.index.add(facts, digest)
            if digest not in self._fresh:
                self._take(digest, stream, size, path)
            return Kind.FILE, size, digest.encode()

    def _digest(self, stream: BinaryIO, size: int, path: bytes) -> str:
        found = hashlib.sha256()
        read = 0
        while chunk := stream.read(CHUNK):
            found.update(chunk)
            read += len(chunk)
            self._done += len(chunk)
            self._progress(self._done)
        if read != size:
            _changed(path)
        return found.hexdigest()

    def _take(self, digest: str, stream: BinaryIO, size: int, path: bytes) -> None:
        if self._source.move:
            self._fresh[digest] = self._root.own_path(path)
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
                _changed(path)
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


@contextmanager
def steady(path: bytes) -> Iterator[None]:
    """Turn an error of a path that became something else into BadImage."""
    try:
        yield
    except OSError as error:
        if error.errno in _REPLACED:
            _changed(path)
        raise


def _changed(path: bytes) -> NoReturn:
    raise BadImage(f"{os.fsdecode(path)} was changed while it was read: try again when it is not")
