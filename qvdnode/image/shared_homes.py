"""Tries out the folder of homes that all nodes of a farm share, and knows it again.

A mount that is missing, squashes root or cannot shift owners would be noticed by users: at their
first login, as an empty home or none at all. So the node refuses to start and says what to do.
"""

import asyncio
import contextlib
import fcntl
import os
import re
import secrets
from pathlib import Path
from typing import Final

from qvdnode.host import mounts
from qvdnode.host.idmap import IdMapper
from qvdnode.image.homes import HOME_UID
from qvdnode.image.layout import Layout
from qvdnode.model.errors import HostFailed
from qvdnode.model.guest import IDS_PER_GUEST

MARK: Final = ".qvdnode-homes"
"""The file in the shared folder with its mark, made by the first node."""
MARK_TEXT: Final = re.compile(r"[0-9a-f]{32}")


async def probe(layout: Layout, first_id: int) -> str:
    """Try the folder out and return its mark, which all nodes that share it read.

    `first_id` is the first of the uids that guests get. Raises HostFailed, saying what to do.
    """
    homes = layout.homes
    if not await asyncio.to_thread(mounts.is_mounted, homes):
        raise HostFailed(
            f"image.homes_shared is set, and nothing is mounted at {homes}: mount the folder there"
            " that all nodes share, before the node starts"
        )
    try:
        trial = await asyncio.to_thread(_trial, homes)
    except OSError as error:
        raise HostFailed(
            f"the shared homes in {homes} cannot be used: {error.strerror}. The export must be"
            " writable for root of this host (no_root_squash)"
        ) from error
    try:
        await _try_shifted(trial, layout.state_dir, first_id)
        return await asyncio.to_thread(_mark, homes)
    except OSError as error:
        raise HostFailed(f"{homes} cannot be used: {error.strerror}") from error
    finally:
        await asyncio.to_thread(_remove, trial)


def _trial(homes: Path) -> Path:
    """A folder that belongs to a guest's user, with a file that was locked; raises HostFailed."""
    trial = homes / f".trial-{secrets.token_hex(8)}"
    trial.mkdir(mode=0o700)
    try:
        _try_owners(trial)
        _try_locks(trial)
    except BaseException:
        _remove(trial)
        raise
    return trial


def _try_owners(trial: Path) -> None:
    os.chown(trial, HOME_UID, HOME_UID)
    if trial.stat().st_uid != HOME_UID:
        raise HostFailed(
            f"the server of {trial.parent} changes the owner of files: export it with"
            " no_root_squash"
        )


def _try_locks(trial: Path) -> None:
    with (trial / "lock").open("w") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise HostFailed(
                f"files in {trial.parent} cannot be locked ({error.strerror}), as programs need:"
                " mount it with locks"
            ) from error


async def _try_shifted(trial: Path, state_dir: Path, first_id: int) -> None:
    target, ids = state_dir / trial.name, IdMapper()
    await asyncio.to_thread(target.mkdir, mode=0o700)
    try:
        await ids.bind(trial, target, start=first_id, count=IDS_PER_GUEST)
        await asyncio.to_thread(mounts.unmount, target)
    except HostFailed as error:
        raise HostFailed(
            f"{error}: homes need a file system with idmapped mounts (ext4, XFS, Btrfs, tmpfs or"
            " a newer kernel for others)"
        ) from error
    finally:
        ids.close()
        await asyncio.to_thread(target.rmdir)


def _mark(homes: Path) -> str:
    file, draft = homes / MARK, homes / f"{MARK}-{secrets.token_hex(8)}"
    if not file.exists():
        draft.write_text(secrets.token_hex(16), encoding="ascii")
        try:
            with contextlib.suppress(FileExistsError):  # another node was first
                os.link(draft, file)
        finally:
            draft.unlink()
    mark = file.read_text(encoding="ascii", errors="replace").strip()
    if not MARK_TEXT.fullmatch(mark):
        raise HostFailed(f"{file} is damaged: remove it, and start all nodes again")
    return mark


def _remove(trial: Path) -> None:
    with contextlib.suppress(OSError):
        (trial / "lock").unlink(missing_ok=True)
        trial.rmdir()
