"""Connections between two nodes: who makes them, and who uses them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from qvdnode.model.ids import NodeId
from qvdnode.tls.stream_pipe import StreamPipe


class Purpose(StrEnum):
    """What a connection between two nodes is for."""

    CALLS = "calls"
    """Many calls, their answers and events, for as long as both nodes run."""
    STREAM = "stream"
    """The stream of one client."""
    DATABASE = "database"
    """A connection to the database that the other node runs."""
    IMAGES = "images"
    """One commit of an image, from a node that has it."""
    DATABASE_PLACE = "database_place"
    """The question where the farm's database is."""
    JOIN = "join"
    """A host without a certificate yet asks to become a node."""


@dataclass(frozen=True, slots=True)
class PeerConnection:
    """A connection whose ends have proved who they are, ordered and both ways.

    The hello is over and nothing of it is left to read. The end that dialled speaks first.
    """

    node_id: NodeId
    """The other end, proved by its certificate."""
    version: int
    """Version of the peer protocol: the lower one of both ends."""
    pipe: StreamPipe
    """Owned by whoever has the connection, who closes it."""


def away_text(node_id: NodeId, problem: str) -> str:
    """The message of an error that tells why a node cannot be reached."""
    return f"Node {node_id} cannot be reached: {problem}."


class PeerDialer(Protocol):
    """Makes connections to other nodes."""

    async def dial(self, node_id: NodeId, purpose: Purpose) -> PeerConnection:
        """Return a connection to that node; raises Unavailable with the reason."""
        ...


class PeerService(Protocol):
    """Serves the connections of one purpose that other nodes make."""

    async def serve(self, connection: PeerConnection) -> None:
        """Use the connection and return when it is over, closed. Cancel it to end it."""
        ...
