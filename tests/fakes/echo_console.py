"""The console of a guest in memory: it shows what is typed there."""

import asyncio
import socket

from qvdnode.vm.guest_driver import Console


async def echo_console() -> tuple["asyncio.Task[None]", Console]:
    """Its far end, which ends when it is cancelled, and the near one."""
    near, far = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=far)
    echo = asyncio.get_running_loop().create_task(_echo(reader, writer))
    return echo, await asyncio.open_connection(sock=near)


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(1024):
            writer.write(piece)
    finally:
        writer.close()
