"""What a client's connection needs of the endpoint that counts it."""

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Protocol

from qvdnode.model.ids import UserId

if TYPE_CHECKING:
    from qvdnode.broker.connection import Connection


class Watcher(Protocol):
    """Who keeps the register of connections: the endpoint."""

    def connection_opened(self, connection: "Connection") -> None:
        """A client has connected."""
        ...

    def connection_moved(self, connection: "Connection", before: str) -> None:
        """The client's address is now known; `before` was the load balancer's."""
        ...

    def connection_authenticated(self, connection: "Connection") -> None:
        """A complete request is being answered, which may log in: count it as authenticated."""
        ...

    def connection_unauthenticated(self, connection: "Connection") -> None:
        """The client has its answer, and nobody has logged in on the connection."""
        ...

    def connection_rests(self, connection: "Connection", user_id: UserId) -> None:
        """The connection is idle; its user has logged in."""
        ...

    def connection_busy(self, connection: "Connection") -> None:
        """The connection is not idle any more."""
        ...

    def connection_lost(self, connection: "Connection") -> None:
        """The connection is closed."""
        ...

    def connection_refused(self, event: str, connection: "Connection", because: str) -> None:
        """The client broke a rule of the protocol or a time limit."""
        ...

    def spawn(self, name: str, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run the work of one connection, contained."""
        ...
