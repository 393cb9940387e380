"""A screen of one's own, as a user has one: an X server with a window manager.

Without a window manager every nxagent looks for one by taking the root window's redirection for a
moment, and a window that another nxagent maps in that moment never appears.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

from qvdnode.cli.demo import xvfb as server


def bare_xvfb(
    size: str = "1280x800x24", max_clients: int = 512, *options: str
) -> AbstractAsyncContextManager[str]:
    """The display of a new Xvfb without a window manager, for one desktop or for plain windows."""
    return server.xvfb(size, "-maxclients", str(max_clients), "-ac", *options)


@contextlib.asynccontextmanager
async def xvfb(
    size: str = "1280x800x24", max_clients: int = 512, *options: str
) -> AsyncIterator[str]:
    """The display of a new Xvfb, for clients of any user; ended at the end."""
    async with bare_xvfb(size, max_clients, *options) as display:
        manager = await asyncio.create_subprocess_exec(
            "evilwm", "-display", display, "-fn", "fixed",
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield display
        finally:
            # evilwm misses a SIGTERM that comes just before it waits, and has nothing to save.
            with contextlib.suppress(ProcessLookupError):
                manager.kill()
            await manager.wait()
