"""Makes, mounts and removes the folders of one guest. All functions but `remove` block."""

import asyncio
import os
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from qvdnode.host import mounts, process
from qvdnode.image.layout import GuestFolders, Layout
from qvdnode.model.errors import BadImage, HostFailed
from qvdnode.model.guest import IdRange
from qvdnode.model.ids import Generation, VmId

DELETE_LIMIT_S: Final = 600.0
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def check_passable(folder: Path) -> None:
    """Raise HostFailed, which names the topmost folder on the path that guests cannot enter."""
    for step in reversed([folder, *folder.parents]):
        if step.exists() and not step.stat().st_mode & stat.S_IXOTH:
            raise HostFailed(
                f"guests cannot pass {step}: run chmod o+x {step}, or choose another node.state_dir"
            )


def prepare(folders: GuestFolders, ids: IdRange) -> None:
    """Make the empty folders of a guest; only root and the guest may enter them."""
    try:
        folders.folder.parent.mkdir(exist_ok=True)
        folders.folder.parent.chmod(0o711)
        folders.folder.mkdir()
        os.chown(folders.folder, 0, ids.start)
        folders.folder.chmod(0o710)
        for point in (folders.lower, folders.disk, folders.root, folders.home):
            point.mkdir()
    except OSError as error:
        raise HostFailed(f"{folders.folder} cannot be made: {error.strerror}") from error


def join(
    folders: GuestFolders,
    account: str,
    ids: IdRange,
    layers: mounts.Lower | None = None,
    *,
    kept: bool = False,
) -> None:
    """Mount the overlay, and make the mount points in its root.

    Of `layers` it takes the data-only one; the other is mounted at `folders.lower`. With `kept` the
    changes of earlier starts are in it.
    """
    layers = (
        mounts.Lower(folders.lower) if layers is None else replace(layers, folder=folders.lower)
    )
    try:
        for folder in (folders.upper, folders.work):
            if not (kept and folder.is_dir()):
                folder.mkdir(mode=0o755)
                os.chown(folder, ids.start, ids.start)
        mounts.overlay(layers, folders.upper, folders.work, folders.root, kept=kept)
    except OSError as error:
        raise HostFailed(f"the root {folders.root} cannot be made: {error.strerror}") from error
    make_inside(folders.root, ("home", account), ids)
    make_inside(folders.root, ("run", "qvd"), ids)


def make_inside(root: Path, parts: tuple[str, ...], ids: IdRange) -> None:
    """Make a folder in a guest's root without following the image's links out of it."""
    handle = os.open(root, _FOLDER)
    try:
        for part in parts:
            handle = _enter(handle, part, ids)
    except OSError as error:
        raise BadImage(
            f"/{'/'.join(parts)} cannot be made in the image: {error.strerror}"
        ) from error
    finally:
        os.close(handle)


def _enter(handle: int, part: str, ids: IdRange) -> int:
    made = False
    with suppress(FileExistsError):
        os.mkdir(part, mode=0o755, dir_fd=handle)
        made = True
    inner = os.open(part, _FOLDER, dir_fd=handle)
    if made:
        os.fchown(inner, ids.start, ids.start)
    os.close(handle)
    return inner


async def remove(folders: GuestFolders) -> None:
    """Unmount and delete the folders of one guest; safe to repeat, raises HostFailed.

    Its home is only unmounted.
    """
    await asyncio.to_thread(_close, folders)
    # Delete recursively only what the guest wrote, at any depth.
    if await asyncio.to_thread(folders.disk.exists):
        await delete_tree(folders.disk)
    await asyncio.to_thread(_remove_points, folders)


async def delete_tree(folder: Path) -> None:
    """Delete a folder with its content, but not what is mounted in it; raises HostFailed."""
    await process.run(["rm", "-rf", "--one-file-system", "--", folder], limit_s=DELETE_LIMIT_S)


def _close(folders: GuestFolders) -> None:
    with _told(folders.folder):
        for point in mounts.under(folders.folder):
            mounts.unmount(point)
        folders.disk_file.unlink(missing_ok=True)
        # The folder is empty if a loop file held the guest's files; `remove` deletes the rest.
        with suppress(OSError):
            folders.disk.rmdir()


def _remove_points(folders: GuestFolders) -> None:
    # These are mount points: an rmdir cannot hurt what a mount that we failed to see would hold,
    # such as a home.
    with _told(folders.folder):
        folders.lease.unlink(missing_ok=True)
        for point in (folders.lower, folders.root, folders.home, folders.folder):
            with suppress(FileNotFoundError):
                point.rmdir()
        with suppress(OSError):
            folders.folder.parent.rmdir()


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HostFailed(f"{folder} cannot be removed: {error.strerror}") from error


def runs_from(layout: Layout, image_folder: Path) -> bool:
    """Whether the root of any guest uses an image in that folder, even a renamed one.

    It reads the mounts, so that guests of an earlier process count, too.
    """
    roots = {_identity(root) for root in image_folder.glob("*/rootfs")} - {None}
    return any(_identity(lower) in roots for lower in layout.vms.glob("*/*/lower"))


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        facts = folder.stat()
    except FileNotFoundError:
        return None
    return facts.st_dev, facts.st_ino


def leftovers(layout: Layout, keep: Collection[tuple[VmId, Generation]]) -> list[GuestFolders]:
    """Guests' folders that belong to none of `keep`."""
    kept = {layout.guest(vm_id, generation) for vm_id, generation in keep}
    found = [GuestFolders(path) for vm in _inside(layout.vms) for path in _inside(vm)]
    return [folders for folders in found if folders not in kept]


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):  # removed meanwhile, or not a guest's
        return []
