"""The backup folder of homes: blocks by checksum, and snapshots by user and time.

    blocks/ab/abcd...        1 MiB of some file, compressed
    homes/5/TIME.snapshot    the home of user 5 at that time
    new/                     unfinished files, which may be deleted
    lock                     locked by the command that works on it

A block is renamed to its checksum after it was synced and read back from the disk, and a snapshot
is written after all its blocks. So a crash leaves no incomplete snapshot. All calls are blocking.
"""

import fcntl
import hashlib
import os
import re
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from qvdnode.host import linux_calls
from qvdnode.host.trusted_path import PathUse, require
from qvdnode.image.core.home_snapshot import (
    BLOCK_BYTES,
    TEXT_BYTES_MAX,
    Snapshot,
    decode,
    decompressed,
    encode,
)
from qvdnode.model.errors import Conflict, HostFailed, Invalid, NotFound
from qvdnode.runtime.safe_files import FOLDER, NEW, new_file, open_regular

SUFFIX: Final = ".snapshot"
DAMAGED: Final = ".damaged"
_PARTS: Final = ("blocks", "homes", "new")
_BLOCK_NAME: Final = re.compile(r"[0-9a-f]{64}(\.damaged)?")
_LEVEL: Final = 1
"""Higher levels of zlib save a few per cent more and take three times as long."""


class HomeStore:
    """An open backup folder."""

    def __init__(self, folder: Path, *, room_bytes: int | None = None) -> None:
        """`room_bytes` is how much one snapshot may add; None for any amount."""
        self._folder = folder
        self._room_bytes = room_bytes
        self._blocks = folder / "blocks"
        self._homes = folder / "homes"
        self._new = folder / "new"
        self._pending: set[str] = set()

    def has(self, digest: str) -> bool:
        """Whether a block is stored, or will be with the next snapshot."""
        return digest in self._pending or self._place(digest).exists()

    def put(self, content: bytes) -> str:
        """Write a block for the next snapshot and return its checksum.

        Raises OSError, and HostFailed when the snapshot would add more than it may.
        """
        digest = hashlib.sha256(content).hexdigest()
        if not self.has(digest):
            packed = zlib.compress(content, _LEVEL)
            if self._room_bytes is not None:
                self._room_bytes -= len(packed)
                if self._room_bytes < 0:
                    raise HostFailed("its changed files are larger than the room for them")
            descriptor = os.open(self._new / digest, NEW, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(packed)
            self._pending.add(digest)
        return digest

    def get(self, digest: str) -> bytes:
        """Return a block's content; raises Invalid if it is damaged or missing."""
        return _block(self._place(digest), digest)

    def add(self, snapshot: Snapshot) -> None:
        """Store a snapshot and its new blocks; raises OSError, Invalid, Conflict."""
        self._finish_blocks()
        home = self._homes / str(snapshot.head.user_id)
        home.mkdir(mode=0o700, exist_ok=True)
        path = home / f"{snapshot.head.made_at}{SUFFIX}"
        try:
            with new_file(path) as file:
                file.write(encode(snapshot))
        except FileExistsError as error:
            raise Conflict(f"{path} is there already; nothing was changed.") from error

    def forget_pending(self) -> None:
        """Delete the blocks of a snapshot that was not finished."""
        for digest in self._pending:
            (self._new / digest).unlink(missing_ok=True)
        self._pending.clear()

    def users(self) -> list[int]:
        """Return the users who have a home in the backup."""
        return sorted(int(path.name) for path in _folders(self._homes) if path.name.isdecimal())

    def times(self, user_id: int) -> list[str]:
        """Return the times of a home's snapshots, oldest first."""
        found = (self._homes / str(user_id)).glob(f"*{SUFFIX}")
        return sorted(path.name.removesuffix(SUFFIX) for path in found)

    def snapshot(self, user_id: int, made_at: str) -> Snapshot:
        """Return one snapshot; raises Invalid if it is damaged, NotFound."""
        path = self._homes / str(user_id) / f"{made_at}{SUFFIX}"
        try:
            with open_regular(path) as file:
                snapshot = decode(file.read(TEXT_BYTES_MAX))
        except FileNotFoundError as error:
            raise NotFound(f"There is no {path}.") from error
        except Invalid as error:
            raise Invalid(f"{path} cannot be used: {error}.") from error
        if (snapshot.head.user_id, snapshot.head.made_at) != (user_id, made_at):
            raise Invalid(f"{path} cannot be used: it is of another home or time.")
        return snapshot

    def size_bytes(self) -> int:
        """Return what all of it takes of the disk."""
        files = (path for part in _PARTS for path in (self._folder / part).rglob("*"))
        return sum(path.lstat().st_blocks * 512 for path in files)

    def set_aside(self, digest: str) -> None:
        """Rename a damaged block, so that the next backup with that content writes it again."""
        place = self._place(digest)
        if place.exists():
            place.rename(place.with_name(f"{digest}{DAMAGED}"))

    def remove(self, user_id: int, made_at: str) -> None:
        """Remove a snapshot; its blocks stay until `sweep`."""
        (self._homes / str(user_id) / f"{made_at}{SUFFIX}").unlink()

    def sweep(self, wanted: set[str]) -> int:
        """Remove all blocks but those, also blocks that were set aside; return how many."""
        unwanted = [
            path
            for folder in _folders(self._blocks)
            for path in folder.iterdir()
            if path.name not in wanted and _BLOCK_NAME.fullmatch(path.name)
        ]
        for path in unwanted:
            path.unlink()
        return len(unwanted)

    def _place(self, digest: str) -> Path:
        return self._blocks / digest[:2] / digest

    def _finish_blocks(self) -> None:
        self._sync()
        for digest in self._pending:
            draft = self._new / digest
            _ = _block(draft, digest)
            self._place(digest).parent.mkdir(mode=0o700, exist_ok=True)
            draft.rename(self._place(digest))
        self._sync()
        self._pending.clear()

    def _sync(self) -> None:
        handle = os.open(self._folder, FOLDER)
        try:
            linux_calls.sync_filesystem(handle, self._folder)
        finally:
            os.close(handle)


@contextmanager
def opened(
    folder: Path, *, make: bool = False, room_bytes: int | None = None
) -> Iterator[HomeStore]:
    """Open and lock the backup in a folder; with `make` create it if it is missing.

    Raises NotFound if there is none, Conflict if another command has locked it, HostFailed if
    another user of the host controls it.
    """
    if not make and not (folder / "homes").is_dir():
        raise NotFound(f"There is no backup of homes in {folder}.")
    try:
        require(folder, PathUse.OWN_FOLDER, make_mode=0o700)
        lock = os.open(
            folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        try:
            _take(lock, folder)
            shutil.rmtree(folder / "new", ignore_errors=True)
            for name in _PARTS:
                _own_folder(folder / name)
            yield HomeStore(folder, room_bytes=room_bytes)
        finally:
            os.close(lock)
    except OSError as error:
        raise HostFailed(f"The backup in {folder} cannot be worked on: {error}.") from error


def _own_folder(path: Path) -> None:
    """Make a part of the backup. One that is a link is refused: what it leads to would be deleted
    from as from a backup."""
    path.mkdir(mode=0o700, exist_ok=True)
    if path.is_symlink():
        raise HostFailed(f"{path} is a link, and in a backup it is a folder.")


def _folders(path: Path) -> list[Path]:
    """The folders in a folder, without links to some."""
    return [inner for inner in path.iterdir() if inner.is_dir() and not inner.is_symlink()]


def _take(lock: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Conflict(f"Another command works on the backup in {folder}.") from error


def _block(path: Path, digest: str) -> bytes:
    """Read a block from the disk, not from the page cache."""
    try:
        with open_regular(path) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            content = decompressed(file.read(2 * BLOCK_BYTES), BLOCK_BYTES)
    except FileNotFoundError as error:
        raise Invalid(f"The block {digest} is missing.") from error
    except Invalid as error:
        raise Invalid(f"The block {digest} is damaged.") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise Invalid(f"The block {digest} is damaged.")
    return content
