"""Opens homes, in files or in folders, while the node may use them, too."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from qvdnode.host import loop_files
from qvdnode.image.layout import Layout
from qvdnode.model.errors import HostFailed, PartGone
from qvdnode.model.ids import UserId

FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
MIB: Final = 1_048_576


def users_with_homes(layout: Layout) -> list[UserId]:
    """Return the users whose homes are on this host."""
    if not layout.homes.is_dir():
        return []
    names = {path.name.removesuffix(".img") for path in layout.homes.iterdir()}
    return [UserId(number) for number in sorted(int(name) for name in names if name.isdecimal())]


def file_size_mib(layout: Layout, user_id: UserId) -> int:
    """Return the size of the file that contains a home, 0 if the home is a folder."""
    file = layout.home_file(user_id)
    return file.stat().st_size // MIB if file.exists() else 0


@asynccontextmanager
async def lent(layout: Layout, user_id: UserId, *, writable: bool = False) -> AsyncIterator[int]:
    """Yield a descriptor of a home, which a desktop may use at the same time.

    Raises PartGone when the user has no home here, HostFailed when it cannot be opened.
    """
    file = layout.home_file(user_id)
    with ExitStack() as open_files:
        try:
            if await asyncio.to_thread(file.exists):
                async with loop_files.settled(file):
                    if not await asyncio.to_thread(loop_files.in_use, file):
                        await loop_files.repair(file)
                    root = await asyncio.to_thread(loop_files.detached, file, writable=writable)
                open_files.callback(os.close, root)
                home = os.open("home", FOLDER, dir_fd=root)
            else:
                home = os.open(layout.home(user_id) / "home", FOLDER)
        except FileNotFoundError as error:
            raise PartGone(f"User {user_id} has no home on this node.") from error
        except OSError as error:
            raise HostFailed(f"the home of user {user_id} cannot be opened: {error}") from error
        open_files.callback(os.close, home)
        yield home


def path_of(descriptor: int) -> Path:
    """Return a path by which other programs can reach an open file of this process."""
    return Path(f"/proc/{os.getpid()}/fd/{descriptor}")
