"""How much room a file system has."""

import os
from pathlib import Path
from typing import Final

INODES_PER_MIB: Final = 64
"""One for 16 KiB, as file systems are made: a share of the space comes with that share of them."""
_MIB: Final = 1024 * 1024


def free_mib(folder: Path) -> int:
    """MiB that an ordinary program could still write to the file system of `folder`.

    Fewer than there are free bytes for, where inodes run out first.
    """
    facts = os.statvfs(folder)
    space = facts.f_bavail * facts.f_frsize // _MIB
    # Some file systems have as many inodes as they have space, and say that they have none at all.
    return min(space, facts.f_favail // INODES_PER_MIB) if facts.f_files else space
