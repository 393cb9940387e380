"""The node's start epoch on disk: a number that grows with each start of its process."""

from pathlib import Path

from qvdnode.runtime.safe_files import open_regular, replace_file
from qvdnode.wire.swim import EPOCH_MAX

DIGITS_MAX = 16


def next_epoch(path: Path) -> int:
    """The epoch of the process that starts now, which is kept before it is used.

    A file that is missing or makes no sense counts as 0: the membership raises an epoch that is
    behind. Raises OSError.
    """
    epoch = min(_kept(path) + 1, EPOCH_MAX)
    keep_epoch(path, epoch)
    return epoch


def keep_epoch(path: Path, epoch: int) -> None:
    """Write down an epoch that was raised; raises OSError."""
    replace_file(path, f"{epoch}\n".encode())


def _kept(path: Path) -> int:
    try:
        with open_regular(path) as stream:
            text = stream.read(DIGITS_MAX).strip()
    except FileNotFoundError:
        return 0
    return int(text) if text.isdigit() else 0
