"""The connection of `core/x11_fit.py` to the display in the sandbox."""

import asyncio
import contextlib
import logging
import os
import socket
import stat
from collections.abc import Callable
from typing import Final

from qvdnode.desk.core.x11_fit import Fit
from qvdnode.model.errors import HostFailed
from qvdnode.wire.x11 import BadX11

log = logging.getLogger(__name__)

PIECE_BYTES: Final = 16 * 1024
PAUSE_S: Final = 0.02
"""Between two reads: a display that sends without end gets no more of the node than this leaves."""


async def keep_fit(folder: int, name: str, uid: int, on_shown: Callable[[], None]) -> None:
    """Fit the windows of the display at that socket until the display is gone.

    `folder` is a descriptor of the folder that the sandbox keeps the socket in; `on_shown` is
    called once, when the first window is there. Raises HostFailed, BadX11.
    """
    connection = await _dial(folder, name, uid)
    reader, writer = await asyncio.open_unix_connection(sock=connection)
    fit, shown = Fit(), False
    try:
        with contextlib.suppress(OSError):
            writer.write(fit.greeting())
            while data := await reader.read(PIECE_BYTES):
                writer.write(fit.receive(data))
                if fit.shown and not shown:
                    shown = True
                    on_shown()
                await writer.drain()
                await asyncio.sleep(PAUSE_S)
    except BadX11 as error:
        log.warning("browser_display_lies", extra={"because": str(error)})
        raise
    finally:
        writer.transport.abort()


async def _dial(folder: int, name: str, uid: int) -> socket.socket:
    """A connection to a socket that the sandbox has made; raises HostFailed.

    Not by its path: a sandbox that was taken over could put a link there to any socket of the host,
    and have this process, which is root, speak to it.
    """
    try:
        held = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        raise HostFailed(f"the display has no socket: {error.strerror}") from error
    try:
        found = os.fstat(held)
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != uid:
            raise HostFailed("the display's socket is not its own")
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(0)
        try:
            await asyncio.get_running_loop().sock_connect(connection, f"/proc/self/fd/{held}")
        except OSError as error:
            connection.close()
            raise HostFailed(f"the display cannot be reached: {error.strerror}") from error
        return connection
    finally:
        os.close(held)
