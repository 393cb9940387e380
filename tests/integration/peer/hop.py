"""Clients at one node, their desktops on another: streams over one hop, on real sockets."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.broker.settings import BrokerSettings
from qvdnode.model.ids import NodeId
from qvdnode.model.seat import Seat, Viewer
from qvdnode.peer.given_seats import GivenSeats
from qvdnode.peer.guest_stream import SeatDialer, StreamService
from qvdnode.peer.limits import LinkLimits
from qvdnode.peer.ports import Purpose
from qvdnode.proxy.guest_end import DisplayDialer
from qvdnode.runtime.tick_batch import TickBatch
from tests.fakes.fleet import FakeFleet
from tests.fakes.peer_network import PeerNetwork
from tests.integration.broker.clients import Place, place

ENTRY: Final = NodeId(1)
"""The node that the clients dial."""
OWNER: Final = NodeId(2)
"""The node that runs the desktops."""


@dataclass
class Hop:
    """The two nodes."""

    place: Place
    network: PeerNetwork
    seats: GivenSeats
    fleet: FakeFleet


@contextlib.asynccontextmanager
async def hop(folder: Path, settings: BrokerSettings) -> AsyncIterator[Hop]:
    """Both nodes serve until the end of the scope."""
    limits = LinkLimits(opening_limit_s=1.0, evict_limit_s=0.3, grace_s=0.3, stream_silence_s=1.0)
    network, fleet = PeerNetwork(folder), FakeFleet()
    seats = GivenSeats(fleet, limits)
    displays = DisplayDialer(settings.relay)
    streams = StreamService(seats, displays, TickBatch(), settings.relay, limits)
    dialer = SeatDialer(lambda: ENTRY, displays, network.dialer(ENTRY), settings.relay, limits)
    async with (
        network.node(OWNER, {Purpose.STREAM: streams}),
        place(folder, settings, dialer=dialer) as here,
    ):
        here.desktops.node_id, here.desktops.here = OWNER, ENTRY

        def give(viewer: Viewer, seat: Seat) -> None:
            seats.give(ENTRY, viewer, seat)

        here.desktops.give_seat = give
        yield Hop(here, network, seats, fleet)


@contextlib.asynccontextmanager
async def place_over_a_hop(folder: Path, settings: BrokerSettings) -> AsyncIterator[Place]:
    """The clients' side of it."""
    async with hop(folder, settings) as made:
        yield made.place
