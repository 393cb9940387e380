"""Accepts TCP connections, a few at a time, and only while the port has room.

The event loop's own server is not used. It accepts the whole backlog at once before a connection
can be closed, and uvloop's server stops for good when `accept` finds no free file descriptor. Here
connections wait in the kernel while there is no room, and `accept` is retried after errors.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Final

from qvdnode.model.errors import HostFailed
from qvdnode.runtime.scarcity import EXHAUSTED
from qvdnode.runtime.shield import run_shielded

log = logging.getLogger(__name__)

ACCEPTED_AT_ONCE: Final = 32
"""A port may exceed its limit by this many connections, for one iteration of the loop."""
BACKLOG: Final = 1024
NO_ROOM_REST_S: Final = 0.02
EXHAUSTED_REST_S: Final = 0.5
TOLD_EVERY: Final = 60
"""Log every 60th failure: one line in half a minute while there are no file descriptors."""


def listen(address: str, port: int, *, section: str) -> socket.socket:
    """Listen on a port, any free one for 0; raises HostFailed, which names the settings section."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server(
            (address, port), family=family, backlog=BACKLOG, dualstack_ipv6=address == "::"
        )
    except OSError as error:
        raise HostFailed(
            f"[{section}] cannot listen on {address or '*'} port {port}: {error.strerror}. "
            f"Choose another [{section}] address or port, or stop what uses it."
        ) from error


class Acceptor:
    """Gives each connection of a listener a new protocol."""

    def __init__(
        self,
        listener: socket.socket,
        make_protocol: Callable[[], asyncio.Protocol],
        has_room: Callable[[], bool],
    ) -> None:
        self._listener = listener
        self._make_protocol = make_protocol
        self._has_room = has_room
        self._failures = 0

    async def run(self) -> None:
        """Accept until cancelled, then close the listener."""
        self._listener.setblocking(False)  # noqa: FBT003 - the call takes it so
        try:
            while True:
                if self._has_room():
                    await self._accept()
                else:
                    await asyncio.sleep(NO_ROOM_REST_S)
        finally:
            self._listener.close()

    async def _accept(self) -> None:
        try:
            first, _ = await asyncio.get_running_loop().sock_accept(self._listener)
        except OSError as error:
            await self._rest(error)
            return
        self._failures = 0
        await run_shielded(self._attach_all([first, *self._more()]))

    def _more(self) -> list[socket.socket]:
        """Accept what else waits. The next `sock_accept` meets an error again and handles it."""
        found: list[socket.socket] = []
        while len(found) < ACCEPTED_AT_ONCE - 1:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                break
            accepted.setblocking(False)  # noqa: FBT003 - the call takes it so
            found.append(accepted)
        return found

    async def _attach_all(self, accepted: list[socket.socket]) -> None:
        await asyncio.gather(*(self._attach(one) for one in accepted))

    async def _attach(self, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(self._make_protocol, accepted)
        except OSError as error:  # no memory in the kernel to watch one more descriptor
            log.warning("connection_not_attached", extra={"because": str(error)})
            accepted.close()

    async def _rest(self, error: OSError) -> None:
        """Pause after a failed accept if the host lacks resources; other errors need no pause."""
        if error.errno not in EXHAUSTED:
            return
        if self._failures % TOLD_EVERY == 0:
            log.warning(
                "accept_failed",
                extra={
                    "because": error.strerror,
                    "fix": "Raise the limit of open files (LimitNOFILE); connections wait.",
                },
            )
        self._failures += 1
        await asyncio.sleep(EXHAUSTED_REST_S)
