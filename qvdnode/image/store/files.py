"""All that the store changes on the disk, as one small port, so that tests can fail each step."""

import os
import shutil
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from qvdnode.host import linux_calls

OBJECT_MODE: Final = 0o400
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Files(Protocol):
    """Changes of the disk. Each raises OSError; all block."""

    def make_folder(self, path: Path) -> None:
        """Make a folder and those above, if missing; only root may enter."""
        ...

    def create(self, path: Path, content: bytes) -> None:
        """Write a new file; its content is on the disk on return."""
        ...

    def open_new(self, path: Path) -> BinaryIO:
        """A new file to write; it is not synced."""
        ...

    def strip(self, path: Path) -> None:
        """Make a file an object: owner root, read-only, without attributes."""
        ...

    def rename(self, source: Path, target: Path) -> None:
        """Rename a file in place of one that is there."""
        ...

    def unlink(self, path: Path) -> None:
        """Remove a file; nothing to do is fine."""
        ...

    def remove_tree(self, path: Path) -> None:
        """Remove a folder with all in it; nothing to do is fine."""
        ...

    def append(self, path: Path, line: bytes) -> None:
        """Append to a file, which is made if missing; it is on the disk on return."""
        ...

    def sync(self, folder: Path) -> None:
        """Bring the names in a folder to the disk."""
        ...

    def sync_all(self, folder: Path) -> None:
        """Bring all of the folder's file system to the disk."""
        ...


class HostFiles:
    """The real disk."""

    def make_folder(self, path: Path) -> None:
        """Make a folder and those above, if missing; only root may enter."""
        for folder in (*reversed(path.parents), path):
            folder.mkdir(mode=0o700, exist_ok=True)

    def create(self, path: Path, content: bytes) -> None:
        """Write a new file; its content is on the disk on return."""
        with self.open_new(path) as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())

    def open_new(self, path: Path) -> BinaryIO:
        """A new file to write; it is not synced."""
        return os.fdopen(os.open(path, _NEW, OBJECT_MODE), "wb")

    def strip(self, path: Path) -> None:
        """Make a file an object: owner root, read-only, without attributes."""
        for name in os.listxattr(path, follow_symlinks=False):
            os.removexattr(path, name, follow_symlinks=False)
        os.chown(path, 0, 0, follow_symlinks=False)
        path.chmod(OBJECT_MODE)

    def rename(self, source: Path, target: Path) -> None:
        """Rename a file in place of one that is there."""
        source.rename(target)

    def unlink(self, path: Path) -> None:
        """Remove a file; nothing to do is fine."""
        path.unlink(missing_ok=True)

    def remove_tree(self, path: Path) -> None:
        """Remove a folder with all in it; nothing to do is fine."""
        if path.exists():
            shutil.rmtree(path)

    def append(self, path: Path, line: bytes) -> None:
        """Append to a file, which is made if missing; it is on the disk on return."""
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(handle).st_size
            # A line that a crash cut off must not run into this one.
            whole = size == 0 or os.pread(handle, 1, size - 1) == b"\n"
            data = line if whole else b"\n" + line
            while data:
                data = data[os.write(handle, data) :]
            os.fsync(handle)
        finally:
            os.close(handle)

    def sync(self, folder: Path) -> None:
        """Bring the names in a folder to the disk."""
        handle = os.open(folder, _FOLDER)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def sync_all(self, folder: Path) -> None:
        """Bring all of the folder's file system to the disk."""
        handle = os.open(folder, _FOLDER)
        try:
            linux_calls.sync_filesystem(handle, folder)
        finally:
            os.close(handle)
