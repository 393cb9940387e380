"""Writes an image's entries below one folder. Runs in the unpacking child.

Paths are walked with open folder descriptors without following links, so that no sequence of
entries can write outside the folder.
"""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from qvdnode.image.core.entry import Entry, EntryKind, clean_path
from qvdnode.model.errors import BadImage

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK: Final = 1024 * 1024


class TreeWriter:
    """Writes one image into an empty folder."""

    def __init__(self, root: Path) -> None:
        self._root = os.open(root, _FOLDER)
        self._folder_times: dict[tuple[str, ...], tuple[int, int]] = {}

    def __enter__(self) -> Self:
        """Open."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        os.close(self._root)

    def write(self, path: tuple[str, ...], entry: Entry, content: IO[bytes] | None) -> None:
        """Write one entry, in place of an earlier one of that name as tar does.

        Raises BadImage where it fits nowhere, OSError where the disk fails.
        """
        if not path:
            self._finish(self._root, entry)
            self._folder_times[path] = _times(entry)
            return
        folder = self._enter(path[:-1])
        try:
            if entry.kind is EntryKind.FOLDER:
                self._make_folder(folder, path, entry)
                return
            try:
                self._make(folder, path[-1], entry, content)
            except FileExistsError:
                self._remove(folder, path, entry)
                self._make(folder, path[-1], entry, content)
        finally:
            os.close(folder)

    def finish(self) -> None:
        """Set the times of folders, which writing into them has changed."""
        for path, times in self._folder_times.items():
            folder = self._enter(path)
            try:
                os.utime(folder, ns=times)
            finally:
                os.close(folder)

    def _enter(self, path: tuple[str, ...]) -> int:
        handle = os.dup(self._root)
        for part in path:
            outer = handle
            try:
                made = _make_if_missing(part, outer)
                handle = os.open(part, _FOLDER, dir_fd=outer)
                if made:  # a folder without an entry of its own; the umask would close it to users
                    os.fchmod(handle, 0o755)
            except OSError as error:
                if error.errno in {errno.ELOOP, errno.ENOTDIR}:
                    raise BadImage(f"{'/'.join(path)!r} leads through a link") from error
                raise
            finally:
                os.close(outer)
        return handle

    def _remove(self, folder: int, path: tuple[str, ...], entry: Entry) -> None:
        """Remove an earlier entry of that name, if it is not a folder with something in it."""
        try:
            os.unlink(path[-1], dir_fd=folder)
        except IsADirectoryError:
            try:
                os.rmdir(path[-1], dir_fd=folder)
            except OSError as error:
                raise BadImage(
                    f"{entry.name!r} is a folder with files in it, and a {entry.kind}, too"
                ) from error
            self._folder_times.pop(path, None)

    def _make(self, folder: int, name: str, entry: Entry, content: IO[bytes] | None) -> None:
        match entry.kind:
            case EntryKind.FILE:
                self._make_file(folder, name, entry, content)
            case EntryKind.SYMLINK:
                os.symlink(entry.target, name, dir_fd=folder)
                self._finish_by_name(folder, name, entry)
            case EntryKind.HARDLINK:
                self._make_hard_link(folder, name, entry)
            case EntryKind.FIFO:
                os.mkfifo(name, mode=entry.mode, dir_fd=folder)
                self._finish_by_name(folder, name, entry)
            case EntryKind.FOLDER | EntryKind.DEVICE | EntryKind.OTHER:
                raise BadImage(f"{entry.name!r} is a {entry.kind}")

    def _make_folder(self, folder: int, path: tuple[str, ...], entry: Entry) -> None:
        with suppress(FileExistsError):
            os.mkdir(path[-1], mode=0o700, dir_fd=folder)
        try:
            handle = os.open(path[-1], _FOLDER, dir_fd=folder)
        except NotADirectoryError:  # an earlier entry of another kind
            os.unlink(path[-1], dir_fd=folder)
            os.mkdir(path[-1], mode=0o700, dir_fd=folder)
            handle = os.open(path[-1], _FOLDER, dir_fd=folder)
        try:
            self._finish(handle, entry)
        finally:
            os.close(handle)
        self._folder_times[path] = _times(entry)

    def _make_file(self, folder: int, name: str, entry: Entry, content: IO[bytes] | None) -> None:
        handle = os.open(name, _NEW_FILE, 0o600, dir_fd=folder)
        try:
            written = 0 if content is None else _copy_sparse(content, handle)
            if written != entry.size:
                raise BadImage(f"the archive is cut off inside {entry.name!r}")
            os.truncate(handle, entry.size)
            self._finish(handle, entry)
            os.utime(handle, ns=_times(entry))
        finally:
            os.close(handle)

    def _make_hard_link(self, folder: int, name: str, entry: Entry) -> None:
        target = clean_path(entry.target)
        if not target:
            raise BadImage(f"{entry.name!r} links to the root")
        source = self._enter(target[:-1])
        try:
            facts = os.stat(target[-1], dir_fd=source, follow_symlinks=False)
            if stat.S_ISDIR(facts.st_mode):
                raise BadImage(f"{entry.name!r} is a hard link to a folder")
            if _same_file(folder, name, facts):
                return
            os.link(target[-1], name, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError as error:
            raise BadImage(
                f"{entry.name!r} links to {entry.target!r}, which is not there"
            ) from error
        finally:
            os.close(source)

    def _finish_by_name(self, folder: int, name: str, entry: Entry) -> None:
        os.chown(name, entry.uid, entry.gid, dir_fd=folder, follow_symlinks=False)
        os.utime(name, ns=_times(entry), dir_fd=folder, follow_symlinks=False)

    def _finish(self, handle: int, entry: Entry) -> None:
        # The owner first: a change of owner drops set-user-id bits and capabilities.
        os.fchown(handle, entry.uid, entry.gid)
        os.fchmod(handle, entry.mode)
        for name, value in entry.attributes.items():
            try:
                os.setxattr(handle, name, value)
            except OSError as error:
                if error.errno not in {errno.ENOTSUP, errno.EINVAL}:
                    raise
                raise BadImage(f"the attribute {name} of {entry.name!r} is not usable") from error


def _make_if_missing(name: str, folder: int) -> bool:
    """Make a folder that only root can enter; whether it was missing."""
    try:
        os.mkdir(name, mode=0o700, dir_fd=folder)
    except FileExistsError:
        return False
    return True


def _same_file(folder: int, name: str, facts: os.stat_result) -> bool:
    """Whether that name is a link to the file already; it would not survive being replaced."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(found, facts)


def _copy_sparse(content: IO[bytes], handle: int) -> int:
    """Copy with holes for blocks of zeros; returns the number of bytes read."""
    done = 0
    while chunk := content.read(_CHUNK):
        if not any(chunk):
            done += len(chunk)
            continue
        os.pwrite(handle, chunk, done)
        done += len(chunk)
    return done


def _times(entry: Entry) -> tuple[int, int]:
    """Times of access and change in nanoseconds, as exactly as the archive has them."""
    moment = entry.modified_ns or round(entry.modified * 10**9)
    return moment, moment
