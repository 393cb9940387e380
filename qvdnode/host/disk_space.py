"""Measures the free space of file systems."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.model.disk_share import INODES_PER_MIB

_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class FreeRoom:
    """Free space of a file system for unprivileged programs."""

    mib: int
    inodes: int | None
    """None on those that have as many inodes as they have space."""


def free_bytes(folder: Path) -> int:
    """What a program without privileges can still write; 0 where no inode is left."""
    facts = os.statvfs(folder)
    return 0 if facts.f_files and not facts.f_favail else facts.f_bavail * facts.f_frsize


def free_room(folder: Path) -> FreeRoom:
    """What is free of the file system of `folder`."""
    facts = os.statvfs(folder)
    inodes = facts.f_favail if facts.f_files else None
    return FreeRoom(facts.f_bavail * facts.f_frsize // _MIB, inodes)


def free_mib(folder: Path) -> int:
    """MiB that an ordinary program could still write to the file system of `folder`.

    Fewer than there are free bytes for, where inodes run out first.
    """
    room = free_room(folder)
    return room.mib if room.inodes is None else min(room.mib, room.inodes // INODES_PER_MIB)
