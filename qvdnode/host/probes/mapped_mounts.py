"""Tests what each desktop's root needs: an overlay on an idmapped lower folder."""

import asyncio
import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.host import mounts
from qvdnode.host.idmap import IdMapper
from qvdnode.model.errors import FarmError

PARTS: Final = ("image", "lower", "upper", "work", "root")


@dataclass(frozen=True, slots=True)
class MountFacts:
    """Why each does not work in one file system; None when it does."""

    overlay: str | None
    shifted: str | None
    """An overlay whose lower folder has shifted owners."""


async def probe(folder: Path, start: int, count: int) -> MountFacts:
    """Mount both in the file system of `folder`; leaves nothing.

    The kernel loads overlayfs with the first mount, so that only this tells whether it has it.
    """
    overlay = await _refusal(folder, None)
    if overlay is not None:
        return MountFacts(overlay, "Not tried, since no overlay can be mounted")
    return MountFacts(None, await _refusal(folder, range(start, start + count)))


async def _refusal(folder: Path, shifted_to: range | None) -> str | None:
    try:
        holder = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix=".doctor-", dir=folder)
    except OSError as error:
        return f"{folder} cannot be written: {error.strerror}"
    paths = {name: Path(holder.name) / name for name in PARTS}
    try:
        return await _try(paths, shifted_to)
    except (OSError, FarmError) as error:
        return str(error)
    finally:
        for name in ("root", "lower"):
            with contextlib.suppress(OSError):
                await asyncio.to_thread(mounts.unmount, paths[name])
        await asyncio.to_thread(holder.cleanup)


async def _try(paths: dict[str, Path], shifted_to: range | None) -> str | None:
    for path in paths.values():
        path.mkdir()
    (paths["image"] / "file").touch()
    lower = paths["image"]
    if shifted_to is not None:
        lower = paths["lower"]
        with contextlib.closing(IdMapper()) as mapper:
            start, count = shifted_to.start, len(shifted_to)
            await mapper.bind(paths["image"], lower, start=start, count=count)
    layers = mounts.Lower(lower)
    await asyncio.to_thread(mounts.overlay, layers, paths["upper"], paths["work"], paths["root"])
    owner = (paths["root"] / "file").stat().st_uid
    if shifted_to is None or owner == shifted_to.start:
        return None
    return f"Owners are not shifted ({owner}, not {shifted_to.start})"
