"""System calls that Python has no name for: mounts, quota, descriptors, filters of calls.

Each raises OSError, with the path it was about if there is one. All block; the GIL is released
meanwhile.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final

MS_RDONLY: Final = 1
MS_NOSUID: Final = 2
MS_NODEV: Final = 4
MS_NOEXEC: Final = 8
MS_NOATIME: Final = 1 << 10
MS_PRIVATE: Final = 1 << 18

MNT_DETACH: Final = 2
UMOUNT_NOFOLLOW: Final = 8

MOUNT_ATTR_RDONLY: Final = 0x1
MOUNT_ATTR_NOSUID: Final = 0x2
MOUNT_ATTR_NODEV: Final = 0x4
MOUNT_ATTR_NOEXEC: Final = 0x8
MOUNT_ATTR_NOATIME: Final = 0x10
MOUNT_ATTR_IDMAP: Final = 0x0010_0000

_OPEN_TREE, _MOVE_MOUNT, _OPENAT2, _MOUNT_SETATTR, _QUOTACTL_FD = 428, 429, 437, 442, 443
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
_FS_CLOEXEC: Final = 1
_SET_FLAG, _SET_STRING, _CREATE = 0, 1, 6
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_PR_SET_DUMPABLE: Final = 4
_PROCESS_MADVISE: Final = 440
_MADV_WILLNEED: Final = 3
_CLOSE_RANGE: Final = 436
_CLOSE_RANGE_CLOEXEC: Final = 4
_LAST_DESCRIPTOR: Final = 0xFFFF_FFFF
_RESOLVE_IN_ROOT: Final = 0x10
_RESOLVE_CONFINED: Final = 0x01 | 0x02 | 0x04 | 0x08
"""RESOLVE_NO_XDEV, NO_MAGICLINKS, NO_SYMLINKS and BENEATH."""
_RENAME_NOREPLACE: Final = 1
_SETGROUPS: Final = {"x86_64": 116, "aarch64": 159}
_CAPABILITY_VERSION_3: Final = 0x2008_0522
_OPEN_TREE_CLONE: Final = 1
_MOVE_MOUNT_F_EMPTY_PATH: Final = 4
_AT_FDCWD: Final = -100
_AT_EMPTY_PATH: Final = 0x1000
_CLONE_NEWNET: Final = 0x4000_0000

_libc: Final = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: Path, kind: str, flags: int, options: str = "") -> None:
    """mount(2)."""
    _check(
        _libc.mount(
            source.encode(),
            os.fsencode(target),
            kind.encode(),
            ctypes.c_ulong(flags),
            options.encode() or None,
        ),
        target,
    )


def umount(target: Path, flags: int = 0) -> None:
    """umount2(2), never through a symbolic link."""
    _check(_libc.umount2(os.fsencode(target), flags | UMOUNT_NOFOLLOW), target)


def clone_mount(source: Path) -> int:
    """A descriptor of a detached, private copy of the mount that `source` is in, rooted there."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC
    return _syscall(_OPEN_TREE, source, _AT_FDCWD, os.fsencode(source), ctypes.c_uint(flags))


def set_mount_attributes(tree: int, what: Path, attributes: int, user_namespace: int = 0) -> None:
    """mount_setattr(2) on a detached mount, which becomes private too."""
    wanted = struct.pack("=QQQQ", attributes, 0, MS_PRIVATE, user_namespace)
    _syscall(
        _MOUNT_SETATTR, what, tree, b"", ctypes.c_uint(_AT_EMPTY_PATH), wanted,
        ctypes.c_size_t(len(wanted)),
    )  # fmt: skip


def attach_mount(tree: int, target: Path) -> None:
    """move_mount(2): put a detached mount into the tree of folders at `target`."""
    _syscall(
        _MOVE_MOUNT, target, tree, b"", _AT_FDCWD, os.fsencode(target),
        ctypes.c_uint(_MOVE_MOUNT_F_EMPTY_PATH),
    )  # fmt: skip


def detached_mount(device: Path, kind: str, options: Sequence[str], attributes: int) -> int:
    """fsmount(2): mount a block device detached; return a descriptor of the root.

    The mount is in no folder. It ends when its last descriptor is closed.
    """
    context = _syscall(_FSOPEN, device, kind.encode(), ctypes.c_uint(_FS_CLOEXEC))
    try:
        _configure(context, device, _SET_STRING, b"source", os.fsencode(device))
        for option in options:
            _configure(context, device, _SET_FLAG, option.encode(), None)
        _configure(context, device, _CREATE, None, None)
        return _syscall(
            _FSMOUNT, device, context, ctypes.c_uint(_FS_CLOEXEC), ctypes.c_uint(attributes)
        )
    finally:
        os.close(context)


def _configure(
    context: int, device: Path, command: int, key: bytes | None, value: bytes | None
) -> None:
    _syscall(_FSCONFIG, device, context, ctypes.c_uint(command), key, value, 0)


def quotactl(folder: int, what: Path, command: int, project: int, block: bytes) -> bytes:
    """quotactl_fd(2) on the file system that the open `folder` is in; the block as answered."""
    buffer = ctypes.create_string_buffer(block, len(block))
    _syscall(
        _QUOTACTL_FD, what, ctypes.c_uint(folder), ctypes.c_uint(command), ctypes.c_uint(project),
        buffer,
    )  # fmt: skip
    return buffer.raw


def open_in_root(root: int, path: str, flags: int) -> int:
    """openat2(2) with the open folder `root` as `/`: no link in `path` leads out of it."""
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT)
    return _syscall(_OPENAT2, Path(path), root, os.fsencode(path), how, ctypes.c_size_t(len(how)))


def open_beneath(root: int, path: str, flags: int) -> int:
    """openat2(2) below the open folder `root`: through no link, and on no other file system."""
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, 0, _RESOLVE_CONFINED)
    return _syscall(_OPENAT2, Path(path), root, os.fsencode(path), how, ctypes.c_size_t(len(how)))


def rename_new(folder: int, old: str, new: str) -> None:
    """renameat2(2) within an open folder; raises FileExistsError instead of replacing a file."""
    wanted = ctypes.c_uint(_RENAME_NOREPLACE)
    _check(_libc.renameat2(folder, os.fsencode(old), folder, os.fsencode(new), wanted), Path(new))


def become_file_owner(uid: int) -> None:
    """This thread, and no other of the process, touches files as that user and group from now.

    It gives up all groups and capabilities, so it cannot take anything back; the thread must end
    soon. It does not change who may send signals to the process.
    """
    number = _SETGROUPS.get(os.uname().machine)
    if number is None:
        raise OSError(errno.ENOSYS, "this processor's number of setgroups(2) is not known")
    _syscall(number, None, 0, None)
    _libc.setfsgid(ctypes.c_uint(uid))
    _libc.setfsuid(ctypes.c_uint(uid))
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(header, bytes(24)), None)
    # Both answer with what was in force, and have no way to report an error.
    in_force = {call(-1) & 0xFFFF_FFFF for call in (_libc.setfsuid, _libc.setfsgid)}
    if in_force != {uid}:
        raise OSError(errno.EPERM, "files cannot be touched as another user")


def enter_network(namespace: int, what: Path) -> None:
    """setns(2): this thread, and no other of the process, is in that network namespace from now."""
    _check(_libc.setns(namespace, _CLONE_NEWNET), what)


def unshare_network() -> None:
    """unshare(2): this thread, and no other of the process, is in a new network namespace."""
    _check(_libc.unshare(_CLONE_NEWNET), None)


def sync_filesystem(handle: int, what: Path) -> None:
    """syncfs(2): write out the whole file system that `handle` is in."""
    _check(_libc.syncfs(handle), what)


def filter_system_calls(program: bytes) -> None:
    """Put a filter, an array of struct sock_filter, on this thread and all that it starts."""
    instructions = ctypes.create_string_buffer(program, len(program))
    wanted = struct.pack("@HP", len(program) // 8, ctypes.addressof(instructions))
    result = _libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), wanted, 0, 0)
    _check(result, None)


def keep_memory_from_others() -> None:
    """prctl(2): processes without CAP_SYS_PTRACE cannot read this one; a new program is as ever."""
    _check(_libc.prctl(_PR_SET_DUMPABLE, ctypes.c_ulong(0), 0, 0, 0), None)


def will_need(process: int, ranges: bytes, count: int) -> None:
    """process_madvise(2): read pages of another process, named by pidfd, back from swap.

    `ranges` are iovecs in the kernel's format. What follows a range that is not there any more is
    not read, without an error unless it is the first.
    """
    _syscall(
        _PROCESS_MADVISE, None, ctypes.c_int(process), ranges, ctypes.c_size_t(count),
        ctypes.c_int(_MADV_WILLNEED), ctypes.c_uint(0),
    )  # fmt: skip


def close_on_exec(first: int) -> None:
    """close_range(2): mark the open descriptors from `first` on as closed on exec."""
    _syscall(
        _CLOSE_RANGE, None, ctypes.c_uint(first), ctypes.c_uint(_LAST_DESCRIPTOR),
        ctypes.c_uint(_CLOSE_RANGE_CLOEXEC),
    )  # fmt: skip


def _syscall(number: int, what: Path | None, *arguments: object) -> int:
    return _check(_libc.syscall(ctypes.c_long(number), *arguments), what)


def _check(result: int, what: Path | None) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), *([] if what is None else [str(what)]))
    return int(result)
