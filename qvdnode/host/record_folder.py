"""Folders of small files in which the instances of one host tell each other what they hold."""
# tested-by: tests/integration/host/test_record_folder.py

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from qvdnode.model.errors import HostFailed

LOCK: Final = "lock"


@contextmanager
def locked(records: Path, failing: str) -> Iterator[None]:
    """Be the only one at the folder, which is made if need be; waits for the one before.

    Raises HostFailed, beginning with `failing`, for whatever the file system refuses meanwhile.
    """
    try:
        records.mkdir(parents=True, exist_ok=True)
        with (records / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise HostFailed(f"{failing}: {error}") from error
