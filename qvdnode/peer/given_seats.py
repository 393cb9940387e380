"""The seats that clients of other nodes have on this one's displays, and who may use them.

A seat is given back by a word of its node, by the end of its stream, or because its node has been
out of reach for too long: nothing keeps a display for a client that is gone.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass

from qvdnode.model.errors import Conflict, NotFound
from qvdnode.model.ids import NodeId
from qvdnode.model.seat import Seat, Viewer
from qvdnode.peer.calls import OpenStream, SeatKey, key_of
from qvdnode.peer.limits import LinkLimits
from qvdnode.session.ports import DesktopHost

log = logging.getLogger(__name__)

Cut = Callable[[str], None]
"""Ends a stream at once, for that reason."""

NOT_ENDED = "its node did not end it in time"


@dataclass(slots=True)
class _Given:
    node_id: NodeId
    viewer: Viewer
    seat: Seat
    cut: Cut | None = None
    """Ends the stream of the seat; None while it has none."""


class GivenSeats:
    """The table of them."""

    def __init__(self, host: DesktopHost, limits: LinkLimits) -> None:
        self._host = host
        self._limits = limits
        self._given: dict[SeatKey, _Given] = {}
        self._graces: dict[NodeId, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._given)

    def give(self, node_id: NodeId, viewer: Viewer, seat: Seat) -> None:
        """A client of that node was attached."""
        self._given[key_of(seat)] = _Given(node_id, viewer, seat)

    def take_back(self, node_id: NodeId, key: SeatKey) -> None:
        """The node says that its client has left; ignored if it does not have that seat."""
        given = self._given.get(key)
        if given is not None and given.node_id == node_id:
            self._free(key)

    def keep(self, node_id: NodeId, held: Collection[SeatKey]) -> None:
        """The node says which seats it has: free the others that it was given."""
        for key in self._of(node_id):
            if key not in held:
                self._free(key)

    def linked(self, node_id: NodeId) -> None:
        """The node has a connection for calls again."""
        timer = self._graces.pop(node_id, None)
        if timer is not None:
            timer.cancel()

    def unlinked(self, node_id: NodeId) -> None:
        """The node has no connection any more: its seats without a stream last for a while."""
        if self._of(node_id):
            loop = asyncio.get_running_loop()
            self._graces[node_id] = loop.call_later(
                self._limits.grace_s, self._forget_node, node_id
            )

    def begin_stream(self, node_id: NodeId, opening: OpenStream, cut: Cut) -> Seat:
        """The seat that this node opens a stream for; raises NotFound or Conflict."""
        given = self._given.get(opening.seat)
        if given is None or given.node_id != node_id or given.viewer != opening.viewer:
            raise NotFound("This seat was not given to this client, or it was given up meanwhile.")
        if given.cut is not None:
            raise Conflict("This seat has a stream already.")
        given.cut = cut
        return given.seat

    def end_stream(self, key: SeatKey) -> None:
        """The stream of the seat is over, and so is the seat."""
        given = self._given.get(key)
        if given is not None:
            given.cut = None
            self._free(key)

    def evicted(self, viewer: Viewer, *, linked: bool) -> None:
        """The viewer was evicted: its node ends the stream soon, or else this one does."""
        for key, given in self._given.items():
            if given.viewer == viewer:
                limit_s = self._limits.evict_limit_s if linked else 0.0
                loop = asyncio.get_running_loop()
                _ = loop.call_later(limit_s, self._end, key, given, NOT_ENDED)

    def _of(self, node_id: NodeId) -> list[SeatKey]:
        return [key for key, given in self._given.items() if given.node_id == node_id]

    def _forget_node(self, node_id: NodeId) -> None:
        self._graces.pop(node_id, None)
        lost = [key for key in self._of(node_id) if self._given[key].cut is None]
        if lost:
            log.warning("peer_seats_freed", extra={"node": node_id, "seats": len(lost)})
        for key in lost:
            self._free(key)
        # The others end with their streams, which have limits of their own.

    def _end(self, key: SeatKey, given: _Given, because: str) -> None:
        if self._given.get(key) is given:
            self._free(key, because)

    def _free(self, key: SeatKey, because: str = "its client left") -> None:
        given = self._given.pop(key)
        if given.cut is not None:
            given.cut(because)
        self._host.detach(given.seat)
