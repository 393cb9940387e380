"""Tries what every desktop's root needs: an overlay on a lower folder with shifted owners."""
# tested-by: tests/integration/cli/test_doctor.py

import asyncio
import contextlib
import tempfile
from pathlib import Path

from qvdnode.host import mounts
from qvdnode.host.idmap import IdMapper
from qvdnode.model.errors import FarmError


async def refusal(folder: Path, start: int, count: int) -> str | None:
    """Why such a mount does not work in the file system of `folder`, or None; leaves nothing."""
    try:
        holder = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix=".doctor-", dir=folder)
    except OSError as error:
        return f"{folder} cannot be written: {error.strerror}"
    mapper = IdMapper()
    try:
        return await _try(mapper, Path(holder.name), start, count)
    finally:
        mapper.close()
        for name in ("root", "lower"):
            with contextlib.suppress(OSError):
                await asyncio.to_thread(mounts.unmount, Path(holder.name) / name)
        await asyncio.to_thread(holder.cleanup)


async def _try(mapper: IdMapper, folder: Path, start: int, count: int) -> str | None:
    paths = {name: folder / name for name in ("image", "lower", "upper", "work", "root")}
    try:
        for path in paths.values():
            path.mkdir()
        (paths["image"] / "file").touch()
        await mapper.bind(paths["image"], paths["lower"], start=start, count=count)
        await asyncio.to_thread(
            mounts.overlay, paths["lower"], paths["upper"], paths["work"], paths["root"]
        )
        owner = (paths["root"] / "file").stat().st_uid
    except (OSError, FarmError) as error:
        return str(error)
    return None if owner == start else f"owners are not shifted ({owner}, not {start})"
