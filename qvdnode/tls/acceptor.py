"""Accepts TCP connections, a few at a time, and only while there is room for them.

The loop's own server accepts all that wait in the kernel at once, up to the whole backlog, before
one of them can be closed; and uvloop's server ends for good when `accept` finds no free descriptor.
Here what has no room waits in the kernel, and a host without free descriptors is asked again.
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
"""So many connections there can be beyond a port's limit, for one iteration of the loop."""
BACKLOG: Final = 1024
NO_ROOM_REST_S: Final = 0.02
EXHAUSTED_REST_S: Final = 0.5
TOLD_EVERY: Final = 60
"""One line in half a minute while the host has no descriptors."""


def listen(address: str, port: int, *, section: str) -> socket.socket:
    """Take the port, any free one for 0; raises HostFailed naming the section of the settings."""
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
    """Hands each connection of a listener to a protocol of its own."""

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
        """Accept until cancelled; the listener is closed then."""
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
        """What else waits; an error is met again, and told, by the next `sock_accept`."""
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
        """After a failed accept: a stranger that has left already is nothing."""
        if error.errno not in EXHAUSTED:
            return
        if self._failures % TOLD_EVERY == 0:
            log.warning(
                "accept_failed",
                extra={
                    "because": error.strerror,
                    "mend": "Raise the limit of open files (LimitNOFILE); connections wait.",
                },
            )
        self._failures += 1
        await asyncio.sleep(EXHAUSTED_REST_S)
