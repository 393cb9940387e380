"""The socket of a display's Xvnc: its loss means that the display ended, not that the page left."""

import asyncio
from socket import socket
from typing import Final

PIECE_BYTES: Final = 64 * 1024


async def received(rfb: socket) -> bytes:
    """What Xvnc has sent; empty once it has ended, also if it has left something unread."""
    try:
        return await asyncio.get_running_loop().sock_recv(rfb, PIECE_BYTES)
    except ConnectionError:
        return b""


async def sent(rfb: socket, data: bytes) -> bool:
    """Send to Xvnc; False once it has ended."""
    try:
        await asyncio.get_running_loop().sock_sendall(rfb, data)
    except ConnectionError:
        return False
    return True
