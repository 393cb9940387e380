"""The guest's end of a relayed stream: a TCP connection to its display."""

import asyncio
import socket
from typing import Final, cast

from qvdnode.model.errors import TimedOut, Unavailable
from qvdnode.model.seat import Seat, Viewer
from qvdnode.proxy.ports import GuestOwner
from qvdnode.proxy.settings import RelaySettings
from qvdnode.runtime.time_limit import TimeLimit

WRITE_HIGH_BYTES: Final = 128 * 1024
"""More waiting than this towards the guest, and the client is not read from."""


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


class DisplayDialer:
    """Satisfies proxy.ports.GuestDialer for displays of this node."""

    def __init__(self, settings: RelaySettings) -> None:
        self._settings = settings

    async def dial(self, seat: Seat, _viewer: Viewer, owner: GuestOwner) -> asyncio.Transport:
        """As GuestDialer."""
        address = seat.address
        place = f"{address.host}:{address.port}"
        loop = asyncio.get_running_loop()
        try:
            async with TimeLimit(self._settings.dial_limit_s):
                transport, _ = await loop.create_connection(
                    lambda: GuestEnd(owner), address.host, address.port
                )
        except TimeoutError as error:
            raise TimedOut(f"The display at {place} did not answer in time.") from error
        except OSError as error:
            raise Unavailable(f"The display at {place} cannot be reached: {error}.") from error
        keep_alive(transport, self._settings.silence_limit_s)
        return transport
