"""Makes, removes and lists mounts. All functions block; call them in a thread."""

import errno
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.host import linux_calls as linux

MOUNTINFO: Final = Path("/proc/self/mountinfo")
_ESCAPED: Final = re.compile(r"\\([0-3][0-7]{2})")
_SPECIAL: Final = re.compile(r"[,:\\]")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo."""

    point: Path
    kind: str
    """File system type, such as `overlay`."""
    source: str
    root: str
    """Which part of the file system is mounted: `/` for all of it."""


def parse_mountinfo(text: str) -> list[Mount]:
    """The mounts that the text of a mountinfo file lists, oldest first; odd lines are left out."""
    found: list[Mount] = []
    for line in text.splitlines():
        here, separator, there = line.partition(" - ")
        left, right = here.split(" "), there.split(" ")
        if separator and len(left) >= 6 and len(right) >= 2:
            found.append(Mount(Path(_plain(left[4])), right[0], _plain(right[1]), _plain(left[3])))
    return found


def _plain(field: str) -> str:
    raw = _ESCAPED.sub(lambda found: chr(int(found[1], 8)), field)
    return raw.encode("latin-1", errors="surrogateescape").decode(errors="surrogateescape")


def listed() -> list[Mount]:
    """The mounts this process sees, oldest first."""
    # latin-1 keeps every byte; _plain then reads names as UTF-8.
    return parse_mountinfo(MOUNTINFO.read_text(encoding="latin-1"))


def under(folder: Path, mounts: Iterable[Mount] | None = None) -> list[Path]:
    """Mount points at or below `folder`, in the order in which they can be unmounted."""
    return [
        mount.point
        for mount in reversed(list(listed() if mounts is None else mounts))
        if mount.point.is_relative_to(folder)
    ]


def is_mounted(point: Path) -> bool:
    """Whether something is mounted exactly there."""
    return any(mount.point == point for mount in listed())


@dataclass(frozen=True, slots=True)
class Lower:
    """The read-only layers of an overlay."""

    folder: Path
    data: Path | None = None
    """The data-only layer, which has the content of files whose metadata is in `folder`."""
    options: str = ""
    """What this kernel needs for a data-only layer, such as `metacopy=on`."""

    def __str__(self) -> str:
        """The options of the mount."""
        named = f"lowerdir={_named(self.folder)}"
        if self.data is not None:
            named += f"::{_named(self.data)}"
        return f"{named},{self.options}" if self.options else named


def overlay(lower: Lower, upper: Path, work: Path, target: Path, *, kept: bool = False) -> None:
    """Mount an overlay with devices disabled.

    Writes of a temporary one are never synced. A `kept` one holds whole files and folders, so that
    it can be moved to other layers.
    """
    options = f"{lower},upperdir={_named(upper)},workdir={_named(work)},"
    options += "redirect_dir=off,index=off" if kept else "volatile"
    linux.mount("overlay", target, "overlay", linux.MS_NODEV | linux.MS_NOATIME, options)


def read_only_overlay(lower: Lower, target: Path) -> None:
    """Mount the layers for reading only; devices and set-user-id programs have no effect."""
    flags = linux.MS_RDONLY | linux.MS_NODEV | linux.MS_NOSUID | linux.MS_NOATIME
    linux.mount("overlay", target, "overlay", flags, str(lower))


def erofs(image: Path, target: Path) -> None:
    """Mount an EROFS image from its file; kernels before 6.12 refuse it with ENOTBLK."""
    flags = linux.MS_RDONLY | linux.MS_NODEV | linux.MS_NOSUID
    linux.mount(str(image), target, "erofs", flags)


def _named(folder: Path) -> Path:
    if _SPECIAL.search(str(folder)):
        raise OSError(errno.EINVAL, "a path of an overlay must not hold , : or \\", str(folder))
    return folder


def tmpfs(target: Path, *, size_kib: int, inodes: int, owner: int, mode: int) -> None:
    """Mount a small tmpfs for data only: no programs, no devices, no set-user-id."""
    flags = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
    options = f"size={size_kib}k,nr_inodes={inodes},mode={mode:o},uid={owner},gid={owner}"
    linux.mount("tmpfs", target, "tmpfs", flags, options)


def filesystem(device: Path, target: Path, kind: str, options: str) -> None:
    """Mount a block device; nothing in it can be a device or gain rights on the host."""
    flags = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOATIME
    linux.mount(str(device), target, kind, flags, options)


def unmount(point: Path) -> None:
    """Unmount everything that is mounted exactly there; nothing to do is fine.

    A mount that stays busy is detached: it goes away when its last user does.
    """
    for _ in range(16):
        try:
            linux.umount(point)
        except OSError as error:
            if error.errno in {errno.EINVAL, errno.ENOENT}:
                return
            if error.errno != errno.EBUSY:
                raise
            linux.umount(point, linux.MNT_DETACH)


def bind(source: Path, target: Path, attributes: int, user_namespace: int | None = None) -> None:
    """Mount `source` at `target` as well, with MOUNT_ATTR_* and the ids of a user namespace."""
    tree = linux.clone_mount(source)
    try:
        if user_namespace is None:
            linux.set_mount_attributes(tree, source, attributes)
        else:
            mapped = attributes | linux.MOUNT_ATTR_IDMAP
            linux.set_mount_attributes(tree, source, mapped, user_namespace)
        linux.attach_mount(tree, target)
    finally:
        with suppress(OSError):
            os.close(tree)
