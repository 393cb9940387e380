"""The files of a guest's home, touched from the host as the guest's own user would.

Every call opens the home anew, follows no link, leaves neither the home nor its file system, opens
nothing but regular files and folders, and has the rights of the user's id alone, so that the limits
of the user's home hold. The guest may change everything at any time. All calls block, and must run
in a thread that ends with them (host/own_thread.py): they give up the thread's rights.

Each raises NotFound, Invalid, Forbidden, Conflict, HomeFull, and HostFailed.
"""

import contextlib
import errno
import itertools
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from qvdnode.host.linux_calls import become_file_owner, open_beneath, rename_new
from qvdnode.model.errors import (
    Conflict,
    FarmError,
    Forbidden,
    HomeFull,
    HostFailed,
    Invalid,
    NotFound,
)
from qvdnode.model.home_files import (
    PART_BYTES_MAX,
    FileEntry,
    FileKind,
    FileListing,
    FilePart,
    Upload,
    UploadState,
)
from qvdnode.model.home_path import UPLOAD_PREFIX, check_name, parts_of

ENTRIES_MAX: Final = 2_000
NAMES_MAX: Final = 50_000
"""So many are read and sorted at most."""
STALE_S: Final = 86_400
"""What has arrived of a file is removed this long after its last part, by the next upload."""
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_WRITE: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_MIB: Final = 1 << 20
_NO_FILE: Final = (Invalid, "{name} is not a file with content.")
_GONE: Final = (NotFound, "{name} is not there.")
_LINK: Final = (Invalid, "{name} is a link, or leads through one; links are not followed.")
_DENIED: Final = (Forbidden, "{name} may not be touched by you; see its permissions.")
_MEANINGS: Final[dict[int, tuple[type[FarmError], str]]] = {
    errno.ENOENT: _GONE,
    errno.ENOTDIR: _GONE,
    errno.ELOOP: _LINK,
    errno.EXDEV: _LINK,
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.EROFS: (Forbidden, "Nothing can be written to your home now; ask your administrator."),
    errno.ENAMETOOLONG: (Invalid, "The path is too long."),
    errno.ENXIO: _NO_FILE,
    errno.ENODEV: _NO_FILE,
    errno.EISDIR: _NO_FILE,
    errno.EEXIST: _NO_FILE,
}


class GuestHome:
    """One home, for one call."""

    def __init__(self, folder: Path, uid: int, now_s: float) -> None:
        """`uid` is the user's id on the host, in whose name all files are touched.

        `now_s` is the time of day, in seconds since 1970.
        """
        self._folder = folder
        self._uid = uid
        self._now_s = now_s

    def list(self, path: str) -> FileListing:
        """What is in a folder, folders first, as far as it fits."""
        with self._opened() as home, _folder(home, path) as folder:
            names = [name for name in _names(folder) if not name.startswith(UPLOAD_PREFIX)]
            found = [_entry(folder, name) for name in sorted(names)[:ENTRIES_MAX]]
            entries = [entry for entry in found if entry is not None]
            entries.sort(key=lambda one: (one.kind is not FileKind.FOLDER, one.name.casefold()))
            return FileListing(tuple(entries), _free_bytes(home), len(names) > ENTRIES_MAX)

    def read(self, path: str, offset: int, length: int) -> FilePart:
        """A part of a file; empty behind its end."""
        if not parts_of(path):
            raise Invalid("The home is a folder.", field="path")
        with self._opened() as home, _file(home, path) as file:
            facts = os.fstat(file)
            content = os.pread(file, min(length, PART_BYTES_MAX), offset)
            version = f"{facts.st_ino:x}-{facts.st_mtime_ns:x}-{facts.st_size:x}"
            return FilePart(content, facts.st_size, version)

    def upload(self, upload: Upload, offset: int, content: bytes) -> UploadState:
        """Take a part of a file, and put the file in place once it is whole.

        What does not continue what has arrived changes nothing: the answer tells where to go on.
        So an empty part begins an upload, or asks how far it is.
        """
        check_name(upload.name, field="name")
        with self._opened() as home, _folder(home, upload.folder) as folder:
            _check_place(folder, upload)
            if offset == 0:
                _remove_stale(folder, self._now_s)
            with _part(folder, upload) as part:
                received = os.fstat(part).st_size
                if received > upload.size_bytes:
                    os.ftruncate(part, received := 0)
                if offset == received and content:
                    received = _append(part, upload, received, content)
                left, free = upload.size_bytes - received, _free_bytes(home)
                if left > free:
                    raise _too_large(left, free)
                if left:
                    return UploadState(received, done=False)
                os.fsync(part)
                os.fchmod(part, 0o644)
            _put_in_place(folder, upload)
            return UploadState(received, done=True)

    def cancel(self, upload: Upload) -> None:
        """Remove what has arrived of a file; safe to repeat."""
        with (
            self._opened() as home,
            _folder(home, upload.folder) as folder,
            contextlib.suppress(FileNotFoundError),
        ):
            os.unlink(upload.part_name, dir_fd=folder)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        with _translated(""):
            home = os.open(self._folder, _FOLDER)
            try:
                become_file_owner(self._uid)
                yield home
            finally:
                os.close(home)


@contextlib.contextmanager
def _folder(home: int, path: str) -> Iterator[int]:
    parts = parts_of(path)
    with _translated(path):
        handle = open_beneath(home, "/".join(parts) or ".", _FOLDER)
    try:
        yield handle
    finally:
        os.close(handle)


@contextlib.contextmanager
def _file(home: int, path: str) -> Iterator[int]:
    with _translated(path):
        handle = open_beneath(home, path, _READ)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Invalid(f"{path} is not a file with content.", field="path")
        yield handle
    finally:
        os.close(handle)


@contextlib.contextmanager
def _part(folder: int, upload: Upload) -> Iterator[int]:
    handle = os.open(upload.part_name, _WRITE | os.O_CREAT, 0o600, dir_fd=folder)
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink > 1:
            raise Conflict("Something else has taken the place of this upload; begin again.")
        yield handle
    finally:
        os.close(handle)


def _append(part: int, upload: Upload, received: int, content: bytes) -> int:
    """Write the content; how much has arrived then. What does not fit in the home is undone."""
    if received + len(content) > upload.size_bytes:
        raise Invalid("The file is longer than was said.", field="size")
    done, end = received, received + len(content)
    try:
        while done < end:
            done += os.pwrite(part, content[done - received :], done)
    except OSError:
        os.ftruncate(part, received)
        raise
    return end


def _check_place(folder: int, upload: Upload) -> None:
    """Refuse a name that is taken by what this upload may not replace."""
    try:
        facts = os.stat(upload.name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(facts.st_mode):
        raise Invalid(f"{upload.name} is a folder already; choose another name.", field="name")
    if not upload.replace:
        raise _taken(upload)


def _put_in_place(folder: int, upload: Upload) -> None:
    if upload.replace:
        # A link of that name is replaced itself: its target stays as it is.
        os.rename(upload.part_name, upload.name, src_dir_fd=folder, dst_dir_fd=folder)
        return
    try:
        rename_new(folder, upload.part_name, upload.name)
    except FileExistsError as error:
        raise _taken(upload) from error


def _remove_stale(folder: int, now_s: float) -> None:
    """Remove what was begun long ago and never ended."""
    for name in _names(folder):
        if not name.startswith(UPLOAD_PREFIX):
            continue
        with contextlib.suppress(OSError):
            changed_s = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime
            if now_s - changed_s > STALE_S:
                os.unlink(name, dir_fd=folder)


def _names(folder: int) -> list[str]:
    """The names in a folder; not all of a folder that is hopelessly large."""
    with os.scandir(folder) as found:
        return [entry.name for entry in itertools.islice(found, NAMES_MAX)]


def _entry(folder: int, name: str) -> FileEntry | None:
    """None for a name that has gone meanwhile."""
    try:
        facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
    kind = FileKind.OTHER
    if stat.S_ISDIR(facts.st_mode):
        kind = FileKind.FOLDER
    elif stat.S_ISREG(facts.st_mode):
        kind = FileKind.FILE
    try:
        check_name(name, field="name")
    except Invalid:
        kind, name = FileKind.OTHER, _shown(name)
    return FileEntry(name, kind, facts.st_size, _time(facts.st_mtime))


def _shown(name: str) -> str:
    """A name that is not text, as far as it can be shown."""
    text = os.fsencode(name).decode(errors="replace")
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _time(seconds: float) -> datetime:
    """A guest may give its files any time; those that no calendar has become its first."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


def _free_bytes(home: int) -> int:
    facts = os.fstatvfs(home)
    return facts.f_bavail * facts.f_frsize


def _taken(upload: Upload) -> Conflict:
    return Conflict(f"There is a file {upload.name} already.")


def _too_large(left: int, free: int) -> HomeFull:
    return HomeFull(
        f"This file needs {left / _MIB:.1f} MiB more, and your home has {free / _MIB:.1f} MiB left."
        " Remove files there, or ask your administrator for more room."
    )


@contextlib.contextmanager
def _translated(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _meaning(error, path) from error


def _meaning(error: OSError, path: str) -> FarmError:
    if error.errno in _FULL:
        return HomeFull("Your home is full. Remove files there, then try again.")
    found = _MEANINGS.get(error.errno or 0)
    if found is None:
        return HostFailed(f"files of a home cannot be touched: {error.strerror}")
    kind, sentence = found
    return kind(sentence.format(name=path or "Your home"))
