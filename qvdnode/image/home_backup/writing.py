"""Writes entries of a backup into a new folder, which only root can use until the end. Blocking.

So no user can insert a link. Links that the entries themselves create are not followed, either.
"""

import os
from collections.abc import Sequence
from typing import Final

from qvdnode.image.core.home_snapshot import BLOCK_BYTES, Entry, Kind
from qvdnode.image.home_backup.store import HomeStore
from qvdnode.runtime.safe_files import NEW

FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


SPECIAL_BITS: Final = 0o6000
"""Set-user-ID and set-group-ID."""


class HomeWriter:
    """Writes below one open folder, which is empty and owned by root."""

    def __init__(self, store: HomeStore, folder: int, *, in_home: bool = True) -> None:
        """Outside of a home, owners are accounts of this host. A program of a desktop's root, with
        its set-user-ID bit, would there be one of the host's root: the bits are left out."""
        self._store = store
        self._folder = folder
        self._modes = 0o7777 if in_home else 0o7777 & ~SPECIAL_BITS
        self._in_home = in_home

    def write(self, entries: Sequence[Entry]) -> None:
        """Write everything with owners, modes and times. The entry of the home itself sets those of
        the folder, which outside of a home stays its maker's. Raises OSError, and Invalid for a
        damaged block."""
        for entry in entries:
            if entry.path:
                self._one(entry)
        # Innermost first: once a folder belongs to its user, they may change its content.
        for entry in reversed(entries):
            if entry.kind is Kind.FOLDER and (entry.path or self._in_home):
                self._hand_over(entry)

    def _one(self, entry: Entry) -> None:
        parent, name = self._parent(entry.path)
        try:
            match entry.kind:
                case Kind.FOLDER:
                    os.mkdir(name, 0o700, dir_fd=parent)
                case Kind.FILE:
                    self._file(entry, parent, name)
                case Kind.HARD_LINK:
                    self._link(entry, parent, name)
                case Kind.LINK:
                    os.symlink(entry.target, name, dir_fd=parent)
                    self._describe_link(entry, parent, name)
                case Kind.FIFO:
                    os.mkfifo(name, entry.mode & self._modes, dir_fd=parent)
                    self._describe_link(entry, parent, name)
        finally:
            os.close(parent)

    def _parent(self, path: str) -> tuple[int, str]:
        *folders, name = path.split("/")
        handle = os.open(".", FOLDER, dir_fd=self._folder)
        for folder in folders:
            try:
                inner = os.open(folder, FOLDER, dir_fd=handle)
            finally:
                os.close(handle)
            handle = inner
        return handle, name

    def _file(self, entry: Entry, parent: int, name: str) -> None:
        handle = os.open(name, NEW, 0o600, dir_fd=parent)
        try:
            for number, digest in entry.blocks:
                _write(handle, self._store.get(digest), number * BLOCK_BYTES)
            os.ftruncate(handle, entry.size)
            self._describe(entry, handle)
        finally:
            os.close(handle)

    def _link(self, entry: Entry, parent: int, name: str) -> None:
        place, target = self._parent(entry.target)
        try:
            os.link(target, name, src_dir_fd=place, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(place)

    def _describe_link(self, entry: Entry, parent: int, name: str) -> None:
        os.chown(name, entry.owner, entry.group, dir_fd=parent, follow_symlinks=False)
        times = (entry.modified_ns, entry.modified_ns)
        os.utime(name, ns=times, dir_fd=parent, follow_symlinks=False)

    def _describe(self, entry: Entry, handle: int) -> None:
        for name, value in entry.attributes:
            os.setxattr(handle, name, bytes.fromhex(value))
        os.fchown(handle, entry.owner, entry.group)
        os.fchmod(handle, entry.mode & self._modes)
        os.utime(handle, ns=(entry.modified_ns, entry.modified_ns))

    def _hand_over(self, entry: Entry) -> None:
        parent, name = self._parent(entry.path) if entry.path else (self._folder, ".")
        try:
            handle = os.open(name, FOLDER, dir_fd=parent)
            try:
                self._describe(entry, handle)
            finally:
                os.close(handle)
        finally:
            if entry.path:
                os.close(parent)


def _write(handle: int, content: bytes, start: int) -> None:
    while content:
        written = os.pwrite(handle, content, start)
        content, start = content[written:], start + written
