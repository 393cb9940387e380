"""What LXC leaves on the host of every path that it was given with -P."""

import contextlib
from pathlib import Path
from typing import Final

LOCKS: Final = Path("/run/lxc/lock")
"""LXC makes a folder in here for such a path, and never removes it."""


def remove_locks(folder: Path) -> None:
    """Remove the empty folders that LXC has left for that path, and the empty ones above.

    Not while LXC may be starting something with that path: it would miss a folder it has just made.
    """
    lock = LOCKS / str(folder).lstrip("/")
    with contextlib.suppress(OSError):
        while lock != LOCKS:
            lock.rmdir()
            lock = lock.parent
