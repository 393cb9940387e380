"""Tells other nodes where the farm's database is, and asks them: one may have missed a move.

The database that the farm has left says so itself, but it may be gone.
"""

from collections.abc import Callable
from typing import Final

from qvdnode.model.errors import Unavailable
from qvdnode.model.ids import NodeId
from qvdnode.peer import hello
from qvdnode.peer.ports import PeerConnection, PeerDialer, Purpose
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.wire.peer_hello import DatabaseAt, HelloError

LIMIT_S: Final = 5.0


class Signpost:
    """Satisfies peer.ports.PeerService."""

    def __init__(self, place: Callable[[], bytes]) -> None:
        """`place` gives it sealed."""
        self._place = place

    async def serve(self, connection: PeerConnection) -> None:
        """As PeerService."""
        hello.send(connection.pipe, DatabaseAt(self._place()))
        connection.pipe.close()


async def ask_place(dialer: PeerDialer, node_id: NodeId) -> bytes:
    """Where that node has the farm's database, sealed; raises Unavailable."""
    connection = await dialer.dial(node_id, Purpose.DATABASE_PLACE)
    try:
        async with TimeLimit(LIMIT_S):
            return (await hello.receive(connection.pipe, DatabaseAt)).place
    except (HelloError, EOFError, OSError) as error:
        raise Unavailable(f"Node {node_id} does not say where the database is.") from error
    finally:
        connection.pipe.abort()
