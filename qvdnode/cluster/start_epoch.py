"""The node's start epoch on disk: a number that grows with each start of its process."""

from pathlib import Path

from qvdnode.runtime.safe_files import open_regular, replace_file
from qvdnode.wire.swim import EPOCH_MAX

DIGITS_MAX = 16


def next_epoch(path: Path) -> int:
    """Return the epoch of the starting process, after writing it to the file.

    A missing or unreadable number counts as 0: the membership raises an epoch that is too low.
    Raises OSError.
    """
    epoch = min(_kept(path) + 1, EPOCH_MAX)
    keep_epoch(path, epoch)
    return epoch


def keep_epoch(path: Path, epoch: int) -> None:
    """Write an epoch that was raised to the file; raises OSError."""
    replace_file(path, f"{epoch}\n".encode())


def _kept(path: Path) -> int:
    try:
        with open_regular(path) as stream:
            text = stream.read(DIGITS_MAX).strip()
    except FileNotFoundError:
        return 0
    return int(text) if text.isdigit() else 0
