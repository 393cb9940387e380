"""Project quota: a size limit for a folder and all below it, on file systems that have it.

ext4 (feature `project`, mounted with prjquota) and XFS (mounted with pquota) do. A folder carries a
project id that what is made in it inherits; the limit belongs to the id.
"""

import array
import fcntl
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.host import linux_calls
from qvdnode.model.disk_share import inodes_of

_GET_ATTRIBUTES: Final = 0x801C_581F
_SET_ATTRIBUTES: Final = 0x401C_5820
_ATTRIBUTES: Final = struct.Struct("=5I8x")
_INHERIT: Final = 0x200

_PROJECT_QUOTA: Final = 2
_GET_QUOTA: Final = 0x80_0007
_SET_QUOTA: Final = 0x80_0008
_BLOCK: Final = struct.Struct("=8QI4x")
_BLOCK_LIMITS, _INODE_LIMITS = 1, 4
_KIB_PER_MIB: Final = 1024


def available(folder: Path) -> bool:
    """Whether limits can be set on folders in the file system of `folder`."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return False
    try:
        fcntl.ioctl(handle, _GET_ATTRIBUTES, bytearray(_ATTRIBUTES.size))
        linux_calls.quotactl(handle, folder, command(_GET_QUOTA), 0, bytes(_BLOCK.size))
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def limit(folder: Path, project: int, size_mib: int) -> None:
    """Let `folder`, which is new and empty or has that project, hold `size_mib` at most.

    Files and folders are limited too, by that size.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        attributes = array.array("B", bytes(_ATTRIBUTES.size))
        fcntl.ioctl(handle, _GET_ATTRIBUTES, attributes)
        fcntl.ioctl(handle, _SET_ATTRIBUTES, with_project(attributes.tobytes(), project))
        block = quota_block(size_mib)
        linux_calls.quotactl(handle, folder, command(_SET_QUOTA), project, block)
    finally:
        os.close(handle)


@dataclass(frozen=True, slots=True)
class Usage:
    """How a project stands."""

    limit_mib: int
    used_mib: int
    used_inodes: int


def usage(folder: Path, project: int) -> Usage:
    """What the project in the file system of `folder` has and may have; raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        empty = bytes(_BLOCK.size)
        return usage_in(linux_calls.quotactl(handle, folder, command(_GET_QUOTA), project, empty))
    finally:
        os.close(handle)


def usage_in(block: bytes) -> Usage:
    """What `struct if_dqblk` of linux/quota.h says."""
    limit_kib, _, used_bytes, _, _, used_inodes, *_ = _BLOCK.unpack(block)
    return Usage(limit_kib // _KIB_PER_MIB, used_bytes // _KIB_PER_MIB**2, used_inodes)


def command(number: int) -> int:
    """The command word of quotactl for project quota: QCMD of linux/quota.h."""
    return (number << 8) | _PROJECT_QUOTA


def with_project(attributes: bytes, project: int) -> bytes:
    """`struct fsxattr` of linux/fs.h with the project id, inherited by what is made below."""
    flags, extent_size, extents, _, copy_size = _ATTRIBUTES.unpack(attributes)
    return _ATTRIBUTES.pack(flags | _INHERIT, extent_size, extents, project, copy_size)


def quota_block(size_mib: int) -> bytes:
    """`struct if_dqblk` of linux/quota.h with a hard limit of that size, and of inodes for it."""
    kib = size_mib * _KIB_PER_MIB
    inodes = inodes_of(size_mib)
    return _BLOCK.pack(kib, kib, 0, inodes, inodes, 0, 0, 0, _BLOCK_LIMITS | _INODE_LIMITS)
