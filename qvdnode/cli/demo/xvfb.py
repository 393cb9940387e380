"""An X server that nobody sees, on a display of its own."""

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator
from typing import Final

from qvdnode.cli.demo.node import TIED
from qvdnode.host import process
from qvdnode.host.child import Child
from qvdnode.model.errors import HostFailed
from qvdnode.runtime.time_limit import TimeLimit

START_LIMIT_S: Final = 15.0
TRIES: Final = 5
DISPLAYS: Final = range(1_000, 50_000)
"""Far above those that servers take which look for a free one from 0 on."""


@contextlib.asynccontextmanager
async def xvfb(size: str, *options: str) -> AsyncIterator[str]:
    """The display of an Xvfb, ready for clients, that ends with the scope; raises HostFailed.

    Servers that are left to choose a number all try 0, 1, 2... without a lock, and take away each
    other's sockets when they start or end at once. So it is drawn by lot from many.
    """
    for _ in range(TRIES):
        display = f":{secrets.choice(DISPLAYS)}"
        child, ready = await _start(display, size, *options)
        try:
            if ready:
                yield display
                return
        finally:
            await process.end(child)
    raise HostFailed("Xvfb does not start")


async def _start(display: str, size: str, *options: str) -> tuple[Child, bool]:
    """An Xvfb, and whether it serves that display; else it has ended or will never."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        argv = ["Xvfb", display, "-displayfd", str(writer), "-screen", "0", size]
        try:
            child = await process.launch(
                [*TIED, *argv, "-nolisten", "tcp", *options], pass_fds=(writer,)
            )
        finally:
            os.close(writer)
        try:
            return child, f":{await _number(pipe)}" == display
        except BaseException:
            await process.end(child)
            raise


async def _number(pipe: object) -> str:
    """What Xvfb writes once it serves; nothing when it ends or takes too long."""
    stream = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), pipe
    )
    try:
        async with TimeLimit(START_LIMIT_S):
            return (await stream.readline()).decode().strip()
    except TimeoutError:
        return ""
    finally:
        transport.close()
