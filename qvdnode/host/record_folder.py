"""Folders with small files in which the instances of one host record what they have reserved."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from qvdnode.host.trusted_path import PathUse, require
from qvdnode.model.errors import HostFailed

LOCK: Final = "lock"
OPEN_LOCK: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def locked(records: Path, failing: str) -> Iterator[None]:
    """Lock the folder, which is made if needed; waits for another holder of the lock.

    Raises HostFailed, beginning with `failing`, for whatever the file system refuses meanwhile.
    """
    try:
        require(records, PathUse.OWN_FOLDER, make_mode=0o755)
        lock = os.open(records / LOCK, OPEN_LOCK, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)
    except OSError as error:
        raise HostFailed(f"{failing}: {error}") from error
