"""How many files and folders come with a share of a file system."""

from typing import Final

INODES_PER_MIB: Final = 64
"""One for 16 KiB, as file systems are made: a share of the space comes with that share of them."""
INODES_MIN: Final = 16_384
"""What even a small folder gets, such as a home with a browser's cache in it."""


def inodes_of(size_mib: int) -> int:
    """How many a folder of that size may hold."""
    return max(INODES_MIN, size_mib * INODES_PER_MIB)
