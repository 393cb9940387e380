"""Keeps commits above the floor of free space that is left for desktops. Everything blocks."""

from pathlib import Path
from typing import Final

from qvdnode.host import disk_space
from qvdnode.image.store.tree_reader import Progress
from qvdnode.model.errors import NodeFull

CHECK_BYTES: Final = 64 * 1024 * 1024


def require_room(store: Path, floor_mib: int) -> None:
    """Raise NodeFull when the file system of the store has less free space than that."""
    if disk_space.free_mib(store) < floor_mib:
        raise NodeFull(
            f"the disk is nearly full: {floor_mib} MiB are kept free for desktops"
            " (image.free_floor_mib)"
        )


def checked(store: Path, floor_mib: int, progress: Progress) -> Progress:
    """Tell `progress` of what was read, and check the room after each 64 MiB."""
    checked_at = 0

    def step(done: int) -> None:
        nonlocal checked_at
        if done - checked_at >= CHECK_BYTES:
            checked_at = done
            require_room(store, floor_mib)
        progress(done)

    return step
