"""File systems of a limited size in sparse files, for hosts without project quota.

The loop device frees itself with its last user, so that nothing is left when a node dies.
"""

import asyncio
import errno
import fcntl
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from qvdnode.host import disk_space, linux_calls, mounts, process
from qvdnode.model.errors import HostFailed, NodeFull, TimedOut
from qvdnode.runtime.shield import run_shielded

_DEVICES: Final = "/sys/block"
_CONTROL: Final = Path("/dev/loop-control")
_GET_FREE: Final = 0x4C82
_CONFIGURE: Final = 0x4C0A
_AUTOCLEAR, _DIRECT_IO = 4, 16
_CONFIG: Final = struct.Struct("=II 5Q 4I 64s 64s 32s 2Q 8Q")
_SHUT_DOWN: Final = 0x8004_587D
_FLUSH_LOG: Final = 1
"""EXT4_IOC_SHUTDOWN with its journal written, and not what the page cache holds."""
_TRIES: Final = 64
_MIB: Final = 1024 * 1024
_SECTOR: Final = 512


async def make(path: Path, size_mib: int, *, journal: bool) -> None:
    """Make an empty ext4 of that size at `path`; raises HostFailed, leaving nothing.

    It is renamed to that name when complete, since an interrupted one would stay damaged.
    """
    unfinished = path.with_name(f"{path.name}.new")
    try:
        await asyncio.to_thread(_make_sparse, unfinished, size_mib)
        await process.run(["mke2fs", *_mke2fs_options(journal=journal), unfinished])
        await asyncio.to_thread(unfinished.rename, path)
    except OSError as error:
        raise HostFailed(f"{path} cannot be made: {error.strerror}") from error
    except (HostFailed, TimedOut, asyncio.CancelledError):
        await asyncio.to_thread(unfinished.unlink, missing_ok=True)
        raise


def _make_sparse(path: Path, size_mib: int) -> None:
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.truncate(handle, size_mib * _MIB)
    finally:
        os.close(handle)


def _mke2fs_options(*, journal: bool) -> list[str]:
    # Nothing is zeroed ahead: the file is new, and holes read as zeros. A small file system would
    # get blocks of 1 KiB, which a loop device on direct I/O with sectors of 4 KiB cannot serve.
    options = ["-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0", "-e", "remount-ro", "-E"]
    options.append("lazy_itable_init=1,lazy_journal_init=1,nodiscard")
    return [*options, "-J", "size=4"] if journal else [*options, "-O", "^has_journal"]


async def fill(path: Path, floor_mib: int) -> None:
    """Give the file all its blocks, so that no write in it can fail for want of one.

    Raises NodeFull when less than the floor would be left; then the file stays as it was.
    """
    try:
        missing_mib = await asyncio.to_thread(_fill, path, floor_mib)
    except OSError as error:
        raise HostFailed(f"{path} cannot be given its space: {error.strerror}") from error
    if missing_mib:
        raise NodeFull(
            f"{path} cannot be given its whole size, as image.disk_preallocate asks for:"
            f" {missing_mib} MiB more are needed in its file system, above the {floor_mib} MiB"
            " that are kept free. Make room there, or choose smaller sizes in the flavour."
        )


def _fill(path: Path, floor_mib: int) -> int:
    """Allocate the blocks; returns 0, or how many MiB are missing."""
    facts = path.stat()
    missing = facts.st_size - facts.st_blocks * _SECTOR
    if missing <= 0:
        return 0
    # Check first: a failing fallocate uses up all free space before it fails.
    lacking = missing // _MIB + 1 + floor_mib - disk_space.free_room(path).mib
    if lacking > 0:
        return lacking
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.posix_fallocate(handle, 0, facts.st_size)
    finally:
        os.close(handle)
    return 0


async def mount(path: Path, target: Path, *, new: bool = False, discard: bool = True) -> None:
    """Mount the file system in `path` at `target`; raises HostFailed.

    A file that is `new` is not looked for among those that are mounted already. With `discard`
    what is deleted in it gives its blocks back.
    """
    try:
        # The inode tables are never zeroed in the background: the holes are zeros already.
        options = "noinit_itable,discard" if discard else "noinit_itable,nodiscard"
        await asyncio.to_thread(_mount, path, target, options, new)
    except OSError as error:
        raise HostFailed(f"{path} cannot be mounted: {error.strerror}") from error


async def repair(path: Path) -> None:
    """Repair the file system in `path` after a crash; raises HostFailed if that fails."""
    done = await process.run(["e2fsck", "-p", path], check=False, limit_s=600)
    # 1: repaired; 2: repaired, a mounted one needs a reboot. Higher: errors are left.
    if done.returncode > 2:
        told = (done.stdout + done.stderr).decode(errors="replace").strip()[-400:]
        raise HostFailed(f"{path} is damaged; run e2fsck on it: {told}")


async def grow(path: Path, size_mib: int) -> None:
    """Make the file system in `path`, which is not mounted, at least that large."""
    try:
        if not await asyncio.to_thread(_lengthen, path, size_mib * _MIB):
            return
    except OSError as error:
        raise HostFailed(f"{path} cannot grow: {error.strerror}") from error
    await process.run(["e2fsck", "-f", "-p", path], check=False, limit_s=600)
    await process.run(["resize2fs", path], limit_s=600)


def _lengthen(path: Path, size_bytes: int) -> bool:
    if path.stat().st_size >= size_bytes:
        return False
    os.truncate(path, size_bytes)
    return True


def _mount(path: Path, target: Path, options: str, new: bool) -> None:  # noqa: FBT001 - through to_thread
    device, handle = attach(path) if new else attach_once(path)
    try:
        mounts.filesystem(device, target, "ext4", options)
    finally:
        os.close(handle)


@asynccontextmanager
async def settled(path: Path) -> AsyncIterator[None]:
    """Lock the file at `path` against other processes that repair, grow or mount it.

    Two that mount it at the same time could attach two loop devices to it. Raises HostFailed.
    """
    try:
        handle = await run_shielded(asyncio.to_thread(_locked, path))
    except OSError as error:
        raise HostFailed(f"{path} cannot be locked: {error.strerror}") from error
    try:
        yield
    finally:
        os.close(handle)


def _locked(path: Path) -> int:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    except BaseException:
        os.close(handle)
        raise
    return handle


def detached(path: Path, *, writable: bool) -> int:
    """Return a descriptor of a detached mount of the file system in `path`; closing it unmounts.

    The same file system may be mounted elsewhere at any time, with the same content. The mount
    allows no device files, no programs and no set-user-ID. Call it inside `settled`. Raises
    OSError.
    """
    attributes = (
        linux_calls.MOUNT_ATTR_NOSUID
        | linux_calls.MOUNT_ATTR_NODEV
        | linux_calls.MOUNT_ATTR_NOEXEC
        | linux_calls.MOUNT_ATTR_NOATIME
    )
    if not writable:
        attributes |= linux_calls.MOUNT_ATTR_RDONLY
    device, handle = attach_once(path)
    try:
        options = ("noinit_itable", "discard")
        return linux_calls.detached_mount(device, "ext4", options, attributes)
    finally:
        os.close(handle)


def block_writes(path: Path, point: Path) -> bool:
    """Have the file system in `path`, mounted at `point`, write nothing to its file any more.

    What was synced in it is there at its next mount, what waits to be written back is dropped, and
    whoever uses it gets errors. False when it is not mounted there; raises OSError.
    """
    try:
        handle = os.open(point, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        device = device_of(path)
        # Never shut down the host's file system: check that it is on the loop device of this file.
        if device is None or os.fstat(handle).st_dev != device.stat().st_rdev:
            return False
        fcntl.ioctl(handle, _SHUT_DOWN, struct.pack("=I", _FLUSH_LOG))
    finally:
        os.close(handle)
    return True


def device_of(path: Path) -> Path | None:
    """The loop device that is on `path` already, or None. Takes a millisecond per 100 devices."""
    wanted = os.fsencode(path) + b"\n"
    with os.scandir(_DEVICES) as devices:
        for device in devices:
            if device.name.startswith("loop") and _backing_file(device.path, wanted) == wanted:
                return Path("/dev") / device.name
    return None


def _backing_file(device: str, wanted: bytes) -> bytes:
    try:
        handle = os.open(f"{device}/loop/backing_file", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(handle, len(wanted) + 1)
    except OSError:
        return b""
    finally:
        os.close(handle)


def in_use(path: Path) -> bool:
    """Whether a loop device is on `path`, so that its file system may be mounted somewhere."""
    return device_of(path) is not None


def attach_once(path: Path) -> tuple[Path, int]:
    """As `attach`, but a device that is on `path` already is used again.

    Two devices on one file would destroy it, while a device mounted twice is one file system.
    """
    there = device_of(path)
    if there is not None:
        handle = os.open(there, os.O_RDWR | os.O_CLOEXEC)
        # The open descriptor keeps the device; but it may have been freed before the open.
        if device_of(path) == there:
            return there, handle
        os.close(handle)
    return attach(path)


def attach(path: Path) -> tuple[Path, int]:
    """A new loop device on `path` and a descriptor that keeps it until it is mounted."""
    backing = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        for flags in (_AUTOCLEAR | _DIRECT_IO, _AUTOCLEAR):
            try:
                return _attach(backing, flags, path)
            except OSError as error:
                # Not every file system can do direct I/O; through the page cache works anywhere.
                if error.errno != errno.EINVAL or flags == _AUTOCLEAR:
                    raise
    finally:
        os.close(backing)
    raise OSError(errno.EBUSY, "no loop device is free", str(path))


def _attach(backing: int, flags: int, path: Path) -> tuple[Path, int]:
    config = loop_config(backing, flags, path)
    for _ in range(_TRIES):
        device = Path(f"/dev/loop{_free_number()}")
        handle = os.open(device, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.ioctl(handle, _CONFIGURE, config)
        except OSError as error:
            os.close(handle)
            # Another process has taken this number.
            if error.errno != errno.EBUSY:
                raise
        else:
            return device, handle
    raise OSError(errno.EBUSY, "no loop device is free", str(path))


def _free_number() -> int:
    control = os.open(_CONTROL, os.O_RDWR | os.O_CLOEXEC)
    try:
        return fcntl.ioctl(control, _GET_FREE)
    finally:
        os.close(control)


def loop_config(backing: int, flags: int, path: Path) -> bytes:
    """`struct loop_config` of linux/loop.h for a whole file with 4 KiB blocks."""
    name = os.fsencode(path)[-63:]
    numbers = (0, 0, 0, 0, 0)
    return _CONFIG.pack(backing, 4096, *numbers, 0, 0, 0, flags, name, b"", b"", 0, 0, *([0] * 8))
