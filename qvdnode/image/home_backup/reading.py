"""Reads a home, which its user may change at the same time, into entries and blocks. Blocking.

It follows no link, opens only regular files and folders, and never waits for the other end of a
FIFO. It lists what it cannot save, with the reason.
"""

import errno
import itertools
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from qvdnode.image.core.home_snapshot import (
    BLOCK_BYTES,
    KEPT_ATTRIBUTES,
    TEXT_BYTES_MAX,
    Entry,
    Kind,
)
from qvdnode.image.home_backup.store import HomeStore
from qvdnode.model.errors import Conflict
from qvdnode.runtime.safe_files import FOLDER

DEPTH_MAX: Final = 200
"""Nested folders; each needs a file descriptor while it is read."""
NOTES_BYTES_MAX: Final = TEXT_BYTES_MAX // 2
"""Of what is noted of one home: about 1.1 million files with names of 60 characters. They take 611
bytes of memory each (measured), and as much for the snapshot before."""
ENTRY_BYTES: Final = 100
"""Noted of each file beside its name."""
BLOCK_NOTE_BYTES: Final = 75
TRIES: Final = 3
READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
VANISHED: Final = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO}
"""Errors of a file that was removed or replaced after the folder was listed."""


class HomeReader:
    """Reads one home once."""

    def __init__(self, store: HomeStore, before: Mapping[str, Entry]) -> None:
        self._store = store
        self._before = before
        """The previous snapshot, by path; unchanged files are not read again."""
        self._names: dict[int, str] = {}
        """The first name of each file with hard links."""
        self.left_out: list[str] = []
        """Sentences about what could not be saved."""
        self.read_bytes = 0
        self._room_bytes = NOTES_BYTES_MAX

    def entries(self, home: int) -> Iterator[Entry]:
        """Yield all entries of the open folder `home`.

        Raises OSError if it is unreadable, Conflict if it has more than fits in memory.
        """
        yield _described("", Kind.FOLDER, os.fstat(home), attributes=_attributes(home))
        yield from self._inside(home, "", 1)

    def _inside(self, folder: int, path: str, depth: int) -> Iterator[Entry]:
        for name in self._names_in(folder):
            inner = f"{path}/{name}" if path else name
            self._note(ENTRY_BYTES + len(inner))
            try:
                yield from self._one(folder, name, inner, depth)
            except OSError as error:
                if error.errno not in VANISHED:
                    self.left_out.append(f"{inner} could not be read: {error.strerror}")

    def _names_in(self, folder: int) -> list[str]:
        with os.scandir(folder) as found:
            most = self._room_bytes // ENTRY_BYTES + 1
            return sorted(entry.name for entry in itertools.islice(found, most))

    def _note(self, size: int) -> None:
        """Count what is kept in memory: a user can make names and holes without end."""
        self._room_bytes -= size
        if self._room_bytes < 0:
            raise Conflict("The home has too many files, or too many pieces, for one snapshot.")

    def _one(self, folder: int, name: str, path: str, depth: int) -> Iterator[Entry]:
        facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(facts.st_mode):
            yield from self._folder(folder, name, path, depth)
        elif stat.S_ISREG(facts.st_mode):
            yield self._file(folder, name, path)
        elif stat.S_ISLNK(facts.st_mode):
            target = os.readlink(name, dir_fd=folder)
            yield replace(_described(path, Kind.LINK, facts), target=target)
        elif stat.S_ISFIFO(facts.st_mode):
            yield _described(path, Kind.FIFO, facts)
        elif not stat.S_ISSOCK(facts.st_mode):  # a socket is useless without its program
            self.left_out.append(f"{path} is a device")

    def _folder(self, folder: int, name: str, path: str, depth: int) -> Iterator[Entry]:
        if depth >= DEPTH_MAX:
            self.left_out.append(f"{path} lies in more than {DEPTH_MAX} folders")
            return
        inner = os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=folder)
        try:
            attributes = _attributes(inner)
            yield _described(path, Kind.FOLDER, os.fstat(inner), attributes=attributes)
            yield from self._inside(inner, path, depth + 1)
        finally:
            os.close(inner)

    def _file(self, folder: int, name: str, path: str) -> Entry:
        handle = os.open(name, READ, dir_fd=folder)
        try:
            facts = os.fstat(handle)
            if not stat.S_ISREG(facts.st_mode):
                raise OSError(errno.ENOENT, "it became something else", path)
            entry = self._content(handle, path)
        finally:
            os.close(handle)
        first = self._names.setdefault(entry.inode, path)
        if facts.st_nlink == 1 or first == path:
            return entry
        return replace(entry, kind=Kind.HARD_LINK, target=first)

    def _content(self, handle: int, path: str) -> Entry:
        for _ in range(TRIES):
            entry = self._once(handle, path)
            if entry.same_file(_described(path, Kind.FILE, os.fstat(handle))):
                return entry
        self.left_out.append(f"{path} was written while it was read, and may be torn")
        # Without its inode the next backup reads it again, whatever its times are.
        return replace(self._once(handle, path), inode=0)

    def _once(self, handle: int, path: str) -> Entry:
        entry = _described(path, Kind.FILE, os.fstat(handle), attributes=_attributes(handle))
        before = self._before.get(path)
        if before is not None and before.same_file(entry) and self._all_there(before):
            return replace(entry, blocks=before.blocks)
        return replace(entry, blocks=tuple(self._blocks(handle, entry.size)))

    def _all_there(self, entry: Entry) -> bool:
        return all(self._store.has(digest) for _, digest in entry.blocks)

    def _blocks(self, handle: int, size: int) -> Iterator[tuple[int, str]]:
        number = _next_block(handle, 0, size)
        while number is not None:
            start = number * BLOCK_BYTES
            content = _read(handle, start, min(BLOCK_BYTES, size - start))
            self.read_bytes += len(content)
            if content.strip(b"\0"):
                self._note(BLOCK_NOTE_BYTES)
                yield number, self._store.put(content)
            number = _next_block(handle, start + BLOCK_BYTES, size)


def _next_block(handle: int, start: int, size: int) -> int | None:
    """Return the next block that is not a hole: a sparse file may have a huge size."""
    if start >= size:
        return None
    try:
        return os.lseek(handle, start, os.SEEK_DATA) // BLOCK_BYTES
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return None


def _read(handle: int, start: int, length: int) -> bytes:
    """Read `length` bytes, or fewer if the file has become shorter."""
    parts: list[bytes] = []
    while length and (part := os.pread(handle, length, start)):
        parts.append(part)
        start, length = start + len(part), length - len(part)
    return b"".join(parts)


def _attributes(handle: int) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, os.getxattr(handle, name).hex())
        for name in os.listxattr(handle)
        if name.startswith(KEPT_ATTRIBUTES)
    )


def _described(
    path: str, kind: Kind, facts: os.stat_result, *, attributes: tuple[tuple[str, str], ...] = ()
) -> Entry:
    return Entry(
        path=path,
        kind=kind,
        mode=stat.S_IMODE(facts.st_mode),
        owner=facts.st_uid,
        group=facts.st_gid,
        modified_ns=facts.st_mtime_ns,
        changed_ns=facts.st_ctime_ns,
        inode=facts.st_ino,
        size=facts.st_size if kind is Kind.FILE else 0,
        attributes=attributes,
    )
