"""What the relay needs of the world: both ends of a stream. Met in daemon/build.py."""

import asyncio
from typing import Protocol

from qvdnode.model.seat import Seat, Viewer
from qvdnode.tls.stream import StreamOwner


class ClientStream(Protocol):
    """The client's end of a stream: its TLS connection, or the display of a browser."""

    owner: StreamOwner
    """Whom it reports to; can be replaced at any time."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """Its TCP connection, for socket options; None without one."""
        ...

    def write(self, data: bytes | memoryview, /) -> None:
        """Send this to the client; ignored once the connection closes."""
        ...

    def write_soon(self, data: bytes, /) -> None:
        """The same, perhaps at the end of this iteration of the loop."""
        ...

    def pause_reading(self) -> None:
        """Call the owner's `stream_data` no more; what came already may still be given to it."""
        ...

    def resume_reading(self) -> None:
        """Read again."""
        ...

    def close(self) -> None:
        """Close once all is sent. Safe to repeat."""
        ...

    def abort(self) -> None:
        """Close at once. Safe to repeat."""
        ...


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

    def guest_away(self) -> None:
        """The same as `guest_lost` for a guest of another node: that node is gone, or hangs up."""
        ...

    def guest_full(self) -> None:
        """More waits for the guest than should."""
        ...

    def guest_drained(self) -> None:
        """There is room again."""
        ...


class GuestLink(Protocol):
    """A connection to a guest's display, by itself or through the node that runs it."""

    def write(self, data: bytes) -> None:
        """Send this to the guest."""
        ...

    def write_eof(self) -> None:
        """Send what waits, then say that no more will come. The guest may go on."""
        ...

    def pause_reading(self) -> None:
        """Call the owner's `guest_data` no more; what came already may still be given to it."""
        ...

    def resume_reading(self) -> None:
        """Read again."""
        ...

    def is_closing(self) -> bool:
        """Whether nothing of this may be called any more."""
        ...

    def abort(self) -> None:
        """End the connection at once."""
        ...


class GuestDialer(Protocol):
    """Connects to the display of a seat."""

    async def dial(self, seat: Seat, viewer: Viewer, owner: GuestOwner, /) -> GuestLink:
        """Return a connection to the display, which the viewer was given the seat of.

        Bytes may reach the owner before this returns. Raises an error of the farm, TimedOut when
        nobody answered; then there is no connection.
        """
        ...
