"""The guest's side of a relayed stream: a TCP connection to its display."""

import asyncio
import socket
from typing import Final, Protocol, cast

from qvdnode.model.seat import DisplayAddress
from qvdnode.proxy.settings import RelaySettings
from qvdnode.runtime.time_limit import TimeLimit

WRITE_HIGH_BYTES: Final = 128 * 1024
"""The node stops reading from the client while more than this waits for the guest."""


class GuestOwner(Protocol):
    """Receives the guest's bytes and events. The loop calls it; it must not block or raise."""

    def guest_data(self, data: bytes) -> None:
        """Take bytes from the guest."""
        ...

    def guest_eof(self) -> None:
        """The guest will send no more."""
        ...

    def guest_lost(self) -> None:
        """The connection is closed; the last call."""
        ...

    def guest_full(self) -> None:
        """The send buffer towards the guest is full."""
        ...

    def guest_drained(self) -> None:
        """There is room again."""
        ...


class GuestEnd(asyncio.Protocol):
    """One connection to a guest's display."""

    __slots__ = ("_owner", "data_received")

    def __init__(self, owner: GuestOwner) -> None:
        self._owner = owner
        # The loop calls the owner's method directly: one call per message instead of two.
        self.data_received = owner.guest_data  # type: ignore[method-assign]  # a slot, not a method

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        # uvloop's transports behave like asyncio's but do not inherit from asyncio's classes.
        cast(asyncio.WriteTransport, transport).set_write_buffer_limits(high=WRITE_HIGH_BYTES)

    def eof_received(self) -> bool:
        """Called by the loop; keeps the connection open for the client's last bytes."""
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
    """Make the kernel end the connection once its peer has been silent for `silence_limit_s`.

    On an idle connection TCP keep-alive probes start after a third of the limit and repeat after
    each ninth. While data is unacknowledged Linux sends no probes; TCP_USER_TIMEOUT ends it then.
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
    """Connect to the display; raises OSError or TimeoutError."""
    loop = asyncio.get_running_loop()
    async with TimeLimit(settings.dial_limit_s):
        transport, _ = await loop.create_connection(
            lambda: GuestEnd(owner), address.host, address.port
        )
    keep_alive(transport, settings.silence_limit_s)
    return transport
