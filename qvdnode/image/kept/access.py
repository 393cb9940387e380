"""Opens the disk of a kept overlay beside the node, without a mount point."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from qvdnode.host import loop_files
from qvdnode.image.layout import Layout
from qvdnode.model.errors import Conflict, HostFailed, NotFound
from qvdnode.model.ids import VmId

FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@asynccontextmanager
async def lent(layout: Layout, vm_id: VmId, *, writable: bool = False) -> AsyncIterator[Path]:
    """Yield the folder of a desktop's disk; a start waits while it is `writable`.

    Raises NotFound when it has none, Conflict when it is to be written and the desktop runs,
    HostFailed.
    """
    file = layout.kept_file(vm_id)
    with ExitStack() as open_files:
        if writable and await asyncio.to_thread(_runs, layout, vm_id):
            raise Conflict(f"Desktop {vm_id} runs: stop it first.")
        try:
            if await asyncio.to_thread(file.exists):
                async with loop_files.settled(file):
                    if not await asyncio.to_thread(loop_files.in_use, file):
                        await loop_files.repair(file)
                    root = await asyncio.to_thread(loop_files.detached, file, writable=writable)
                    open_files.callback(os.close, root)
                    if writable:
                        yield _path_of(root)
                        return
                yield _path_of(root)
                return
            root = os.open(layout.kept_disk(vm_id), FOLDER)
        except FileNotFoundError as error:
            raise NotFound(f"Desktop {vm_id} has no kept overlay on this node.") from error
        except OSError as error:
            raise HostFailed(f"the overlay of desktop {vm_id} cannot be opened: {error}") from error
        open_files.callback(os.close, root)
        yield _path_of(root)


def _runs(layout: Layout, vm_id: VmId) -> bool:
    return any((layout.vms / str(vm_id)).glob("*"))


def _path_of(descriptor: int) -> Path:
    return Path(f"/proc/{os.getpid()}/fd/{descriptor}")
