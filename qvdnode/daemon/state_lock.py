"""One node per state folder: a lock that the kernel drops when its process ends."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from qvdnode.model.errors import Conflict

FILE_NAME: Final = "node.lock"


class StateLock:
    """Held while a node serves from a state folder."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FILE_NAME
        self._fd = -1

    def __enter__(self) -> Self:
        """Take the lock; raises Conflict when another node has it."""
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._fd, 32, 0).decode(errors="replace").strip() or "?"
            os.close(self._fd)
            raise Conflict(
                f"a node (process {holder}) already serves from {self._path.parent}; "
                "stop it, or give this one another state_dir"
            ) from error
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release the lock."""
        os.close(self._fd)
