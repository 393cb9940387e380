"""Reserves disk space for the embedded database and releases it when the disk is full.

A server that stopped because the disk was full needs space to recover: it writes its log and a
checkpoint. The reserve is released for that, and created again once there is enough room. All calls
block.
"""

import contextlib
import logging
import os
import stat
from pathlib import Path
from typing import Final

from qvdnode.host import disk_space

log = logging.getLogger(__name__)

LOW_MIB: Final = 16
"""The disk counts as full with less than this: four segments of the server's log."""
CHECKS_LOW: Final = 3
"""The reserve is released after this many checks in a row found the disk full. By then whoever
filled the disk has been ended, so that the released space is left for the server."""
_SECTOR: Final = 512
_MIB: Final = 1024 * 1024


class DiskReserve:
    """A file that only occupies space; with a size of 0 MiB there is none."""

    def __init__(self, folder: Path, size_mib: int) -> None:
        self._file = folder / "reserve"
        self._folder = folder
        self._size_mib = size_mib
        self._checks_low = 0

    @property
    def held(self) -> bool:
        """Whether the file exists with its full size."""
        with contextlib.suppress(OSError):
            facts = self._file.lstat()
            whole = facts.st_blocks * _SECTOR >= self._size_mib * _MIB
            return stat.S_ISREG(facts.st_mode) and whole
        return False

    def disk_is_full(self) -> bool:
        """Whether the file system has too little free space for the server."""
        try:
            return disk_space.free_room(self._folder).mib < LOW_MIB
        except OSError:
            return False

    def create(self) -> None:
        """Create the reserve if there is none and twice its size is free."""
        if not self._size_mib or self.held:
            return
        try:
            if disk_space.free_room(self._folder).mib < 2 * self._size_mib + LOW_MIB:
                return
            # An incomplete one is left when an earlier attempt filled the disk.
            self._file.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            handle = os.open(self._file, flags, 0o600)
            try:
                os.posix_fallocate(handle, 0, self._size_mib * _MIB)
            finally:
                os.close(handle)
        except OSError as error:
            log.warning("database_reserve_not_made", extra={"because": str(error.strerror)})
            return
        log.info("database_reserve_made", extra={"mib": self._size_mib})

    def release_if_full(self) -> None:
        """Delete the reserve if the disk is full, so that the server can use its space."""
        if not self.disk_is_full():
            return
        try:
            self._file.unlink()
        except OSError:
            return
        log.warning("database_reserve_released", extra={"mib": self._size_mib})

    def update(self) -> None:
        """Create or release the reserve as needed; call it periodically while the server runs."""
        self._checks_low = self._checks_low + 1 if self.disk_is_full() else 0
        if self._checks_low >= CHECKS_LOW:
            self.release_if_full()
        elif not self._checks_low:
            self.create()
