"""Reads and replaces files in a folder that a guest may write, without trusting it.

No link is followed, nothing but regular files is opened, no open or read can block, and every read
is bounded. All calls are short enough for the loop: the folders are small and in memory.
"""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.model.errors import HostFailed, PartGone
from qvdnode.runtime.scarcity import EXHAUSTED

READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
WRITE: Final = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file that grows: what was read, and from where to go on."""

    content: bytes
    inode: int
    end: int
    """Offset behind `content`."""
    size: int
    """Size of the whole file when it was read."""


class GuestFolder:
    """One folder, held open so that a guest cannot swap it; a context manager.

    Raises PartGone where there is none, and HostFailed, as each method does, when the node cannot
    look now.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(path, flags)
        except OSError as error:
            if error.errno in GONE:
                raise PartGone(f"the folder {path} is gone: {error.strerror}") from error
            raise HostFailed(f"the folder {path} cannot be opened: {error.strerror}") from error

    def __enter__(self) -> "GuestFolder":
        """The folder is open already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the folder."""
        self.close()

    def close(self) -> None:
        """Close the folder."""
        os.close(self._descriptor)

    def read(self, name: str, *, limit: int) -> bytes | None:
        """A file's first `limit` bytes, or None when there is no such regular file."""
        piece = self.read_from(name, inode=None, offset=0, limit=limit)
        return None if piece is None else piece.content

    def tail(self, name: str, *, limit: int) -> bytes | None:
        """A file's last `limit` bytes, or None when there is no such regular file."""
        with self._open(name, READ) as descriptor:
            if descriptor is None:
                return None
            size = os.fstat(descriptor).st_size
            return os.pread(descriptor, limit, max(0, size - limit))

    def read_from(self, name: str, *, inode: int | None, offset: int, limit: int) -> Piece | None:
        """What a growing file holds behind `offset`, at most `limit` bytes.

        A file that was replaced or cut is read from its beginning: then `end - len(content)` is 0.
        """
        with self._open(name, READ) as descriptor:
            if descriptor is None:
                return None
            facts = os.fstat(descriptor)
            same = inode is None or inode == facts.st_ino
            start = offset if same and offset <= facts.st_size else 0
            content = os.pread(descriptor, limit, start)
            return Piece(content, facts.st_ino, start + len(content), facts.st_size)

    def rewrite(self, name: str, content: bytes) -> bool:
        """Cut a file to just this content, keeping the file itself.

        False where there is none, or the folder has no room for it.
        """
        with self._open(name, WRITE) as descriptor:
            if descriptor is None:
                return False
            try:
                # Overwrite before truncating: that needs no new space except in holes.
                if os.pwrite(descriptor, content, 0) < len(content):
                    return False
                os.ftruncate(descriptor, len(content))
            except OSError:
                return False
            return True

    def replace(self, name: str, content: bytes, *, mode: int, owner: int) -> None:
        """Put a new file in place of whatever has that name; raises HostFailed."""
        temporary = f".{name}.{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(temporary, flags, mode, dir_fd=self._descriptor)
            try:
                os.fchown(descriptor, owner, owner)
                _write_all(descriptor, content)
            finally:
                os.close(descriptor)
            try:
                self._rename(temporary, name)
            except IsADirectoryError:
                # Only a folder cannot be replaced by rename: rename it first.
                self._rename(name, f"{temporary}.aside")
                self._rename(temporary, name)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=self._descriptor)
            raise HostFailed(f"cannot write {self._path / name}: {error.strerror}") from error

    def _rename(self, old: str, new: str) -> None:
        os.rename(old, new, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    @contextlib.contextmanager
    def _open(self, name: str, flags: int) -> Iterator[int | None]:
        try:
            descriptor = os.open(name, flags, dir_fd=self._descriptor)
        except OSError as error:
            if error.errno in EXHAUSTED:
                raise HostFailed(f"cannot open {self._path / name}: {error.strerror}") from error
            # A link, a socket, a FIFO without reader, or no file.
            yield None
            return
        try:
            yield descriptor if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
        finally:
            os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
