"""The guest's end of a relayed stream: a TCP connection to its display."""

import asyncio
import socket
from typing import Final, Protocol, cast

from qvdnode.model.seat import DisplayAddress
from qvdnode.proxy.settings import RelaySettings
from qvdnode.runtime.time_limit import TimeLimit

WRITE_HIGH_BYTES: Final = 128 * 1024
"""More waiting than this towards the guest, and the client is not read from."""


class GuestOwner(Protocol):
    """Who the guest's bytes are for. Calls come from the loop and must not block or raise."""

    def guest_data(self, data: bytes) -> None:
        """The guest sent this."""
        ...

    def guest_eof(self) -> None:
        """The guest will send no more."""
        ...

    def guest_lost(self) -> None:
        """The connection is gone; the last call."""
        ...

    def guest_full(self) -> None:
        """More waits for the guest than should."""
        ...

    def guest_drained(self) -> None:
        """There is room again."""
        ...


class GuestEnd(asyncio.Protocol):
    """One connection to a guest's display."""

    __slots__ = ("_owner", "data_received")

    def __init__(self, owner: GuestOwner) -> None:
        self._owner = owner
        # One call per message in place of two: what the loop calls is the owner's own.
        self.data_received = owner.guest_data  # type: ignore[method-assign]  # a slot, not a method

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        # uvloop's transports are not of asyncio's classes, though they behave as them.
        cast(asyncio.WriteTransport, transport).set_write_buffer_limits(high=WRITE_HIGH_BYTES)

    def eof_received(self) -> bool:
        """Called by the loop; stays open for what the client still says."""
        self._owner.guest_eof()
        return True

    def connection_lost(self, _exc: Exception | None) -> None:
        """Called by the loop."""
        self._owner.guest_lost()

    def pause_writing(self) -> None:
        """Called by the loop."""
        self._owner.guest_full()

    def resume_writing(self) -> None:
        """Called by the loop."""
        self._owner.guest_drained()


def keep_alive(transport: asyncio.BaseTransport, silence_limit_s: float) -> None:
    """Have the kernel end the connection once its other end has been silent for that long.

    An idle end is probed after a third of it, every ninth. While something is on its way Linux
    sends no probes: what is not acknowledged, or not taken, counts by TCP_USER_TIMEOUT.
    """
    connection = transport.get_extra_info("socket")
    if connection is None:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_KEEPIDLE, max(1, round(silence_limit_s / 3))),
        (socket.TCP_KEEPINTVL, max(1, round(silence_limit_s / 9))),
        (socket.TCP_USER_TIMEOUT, round(silence_limit_s * 1000)),
    ):
        connection.setsockopt(socket.IPPROTO_TCP, option, value)


async def dial(
    address: DisplayAddress, owner: GuestOwner, settings: RelaySettings
) -> asyncio.Transport:
    """A connection to the display; raises OSError or TimeoutError."""
    loop = asyncio.get_running_loop()
    async with TimeLimit(settings.dial_limit_s):
        transport, _ = await loop.create_connection(
            lambda: GuestEnd(owner), address.host, address.port
        )
    keep_alive(transport, settings.silence_limit_s)
    return transport
