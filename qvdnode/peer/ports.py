"""What crosses the border inside `peer/`: connections on one side, what they carry on the other."""

import asyncio
from enum import StrEnum
from typing import Protocol

from qvdnode.model.ids import NodeId


class Purpose(StrEnum):
    """What a peer connection is for."""

    CALLS = "calls"
    STREAM = "stream"


class PeerConnection(Protocol):
    """An authenticated, ordered connection to another node, open in both directions."""

    @property
    def node_id(self) -> NodeId:
        """The other end, proved by its certificate."""
        ...

    @property
    def version(self) -> int:
        """The version of the peer protocol: the lower of both ends."""
        ...

    @property
    def reader(self) -> asyncio.StreamReader:
        """What the other end sends, after its hello."""
        ...

    @property
    def writer(self) -> asyncio.StreamWriter:
        """To the other end; whoever has the connection closes it."""
        ...


class PeerDialer(Protocol):
    """Opens connections to other nodes of the farm."""

    async def dial(self, node_id: NodeId, purpose: Purpose) -> PeerConnection:
        """Open a new connection; raises Unavailable with the reason."""
        ...


class PeerService(Protocol):
    """Serves the connections of one purpose."""

    async def serve(self, connection: PeerConnection) -> None:
        """Serve a connection; returns when it is over."""
        ...
