"""Creates and replaces files safely in folders that other users may write.

A file appears under its name complete or not at all, and its content is on the disk by then.
Existing files are never written into, links are not followed, and opening a FIFO does not block.
The owner of the folder can still remove files; host/trusted_path.py tells who that is.
"""

import ctypes
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
UNNAMED: Final = os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC
READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
NOT_HERE: Final = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT, errno.ENOSYS}
"""Errors of kernels and file systems without the needed feature."""
NO_LINKS: Final = {errno.EPERM, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}
_RENAME_NOREPLACE: Final = 1

_libc: Final = ctypes.CDLL(None, use_errno=True)


@contextmanager
def new_file(path: Path, *, mode: int = 0o600, folder: int | None = None) -> Iterator[BinaryIO]:
    """A file to write, which gets its name at the end of the scope; none when it is left by error.

    `folder` is the open folder to put it into, where that was checked before; `path` then gives the
    name alone. Raises FileExistsError when anything has the name, even a link that leads nowhere,
    and OSError.
    """
    with _open_folder(path.parent, folder) as place:
        descriptor, draft = _draft(place, path.name)
        try:
            with os.fdopen(os.dup(descriptor), "w+b") as stream:
                yield stream
                stream.flush()
                os.fchmod(descriptor, mode)
                os.fsync(descriptor)
            _give_name(place, descriptor, draft, path.name)
            os.fsync(place)
        finally:
            os.close(descriptor)
            if draft is not None:
                with suppress(FileNotFoundError):
                    os.unlink(draft, dir_fd=place)


def replace_file(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Put a file in place of whatever has that name, a link itself included; raises OSError."""
    with _open_folder(path.parent, None) as place:
        draft = _random_name(path.name)
        descriptor = os.open(draft, NEW, 0o600, dir_fd=place)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fchmod(descriptor, mode)
                os.fsync(descriptor)
            os.rename(draft, path.name, src_dir_fd=place, dst_dir_fd=place)
            os.fsync(place)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=place)
            raise


def open_regular(path: Path) -> BinaryIO:
    """A regular file to read; raises OSError at once for a FIFO, a device or a folder."""
    descriptor = os.open(path, READ)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def rename_to_new(source: Path, target: Path) -> None:
    """Rename a file or folder to a name that nothing has; raises FileExistsError, OSError."""
    _rename_to_new(-1, os.fspath(source), os.fspath(target))


@contextmanager
def _open_folder(path: Path, given: int | None) -> Iterator[int]:
    place = os.open(path, FOLDER) if given is None else os.open(".", FOLDER, dir_fd=given)
    try:
        yield place
    finally:
        os.close(place)


def _draft(place: int, name: str) -> tuple[int, str | None]:
    """A new file of ours, without a name where the file system can, and its name if it has one."""
    try:
        return os.open(".", UNNAMED, 0o600, dir_fd=place), None
    except OSError as error:
        if error.errno not in NOT_HERE:
            raise
    draft = _random_name(name)
    return os.open(draft, NEW, 0o600, dir_fd=place), draft


def _random_name(name: str) -> str:
    return f".{name[:200]}.{secrets.token_hex(8)}"


def _give_name(place: int, descriptor: int, draft: str | None, name: str) -> None:
    """Link the open file itself, whatever somebody may have put under the draft's name meanwhile.

    File systems without hard links, such as those of USB sticks, have no owners of files either.
    """
    try:
        os.link(f"/proc/self/fd/{descriptor}", name, dst_dir_fd=place, follow_symlinks=True)
    except OSError as error:
        if draft is None or error.errno not in NO_LINKS:
            raise
        _rename_to_new(place, draft, name)


def _rename_to_new(place: int, source: str, target: str) -> None:
    result = _libc.renameat2(
        place, os.fsencode(source), place, os.fsencode(target), ctypes.c_uint(_RENAME_NOREPLACE)
    )
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), target)
