"""Space kept beside the embedded database, and given up when there is no other left.

A server that died for want of space needs some to recover: to write its log and a checkpoint. It
gets the ballast, and the ballast is reserved again once there is room. All calls block.
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
"""Less than this is no room for the server: four segments of its log."""
LOOKS_LOW: Final = 3
"""With so little for that many looks, whoever took the rest is gone, and what is given up is the
server's."""
_SECTOR: Final = 512
_MIB: Final = 1024 * 1024


class Ballast:
    """A file without content; of 0 MiB there is none."""

    def __init__(self, folder: Path, size_mib: int) -> None:
        self._file = folder / "ballast"
        self._folder = folder
        self._size_mib = size_mib
        self._looks_low = 0

    @property
    def held(self) -> bool:
        """Whether it is there as a whole."""
        with contextlib.suppress(OSError):
            facts = self._file.lstat()
            whole = facts.st_blocks * _SECTOR >= self._size_mib * _MIB
            return stat.S_ISREG(facts.st_mode) and whole
        return False

    def short(self) -> bool:
        """Whether the server has no room beside it."""
        try:
            return disk_space.free_room(self._folder).mib < LOW_MIB
        except OSError:
            return False

    def reserve(self) -> None:
        """Make it if there is none and there is plenty of room."""
        if not self._size_mib or self.held:
            return
        try:
            if disk_space.free_room(self._folder).mib < 2 * self._size_mib + LOW_MIB:
                return
            # One that is not whole, from before the disk was full.
            self._file.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            handle = os.open(self._file, flags, 0o600)
            try:
                os.posix_fallocate(handle, 0, self._size_mib * _MIB)
            finally:
                os.close(handle)
        except OSError as error:
            log.warning("database_ballast_not_reserved", extra={"because": str(error.strerror)})
            return
        log.info("database_ballast_reserved", extra={"mib": self._size_mib})

    def give_up(self) -> None:
        """Let the server have its space, if there is no other."""
        if not self.short():
            return
        try:
            self._file.unlink()
        except OSError:
            return
        log.warning("database_ballast_given_up", extra={"mib": self._size_mib})

    def keep(self) -> None:
        """To be called again and again while the server lives: give up or reserve as need be."""
        self._looks_low = self._looks_low + 1 if self.short() else 0
        if self._looks_low >= LOOKS_LOW:
            self.give_up()
        elif not self._looks_low:
            self.reserve()
