"""Either node of a farm of two, as far as a relayed stream needs it; run by farm.py.

`python -m bench.farm_server owner FOLDER PEER_PORT DISPLAY_PORT` is the node of the desktops,
`python -m bench.farm_server entry FOLDER PORT PEER_PORT` the one that clients dial.
"""

import asyncio
import sys
from pathlib import Path
from typing import Final

import uvloop

from bench.relay_server import VMS
from qvdnode.broker.endpoint import Endpoint
from qvdnode.broker.settings import BrokerSettings
from qvdnode.model.ids import NodeId
from qvdnode.model.seat import DisplayAddress, Seat
from qvdnode.peer.calls import OpenStream
from qvdnode.peer.given_seats import Cut, GivenSeats
from qvdnode.peer.guest_stream import SeatDialer, StreamService
from qvdnode.peer.limits import LinkLimits
from qvdnode.peer.ports import Purpose
from qvdnode.proxy.guest_end import DisplayDialer
from qvdnode.proxy.settings import RelaySettings
from qvdnode.runtime.clock import SystemClock
from qvdnode.runtime.tick_batch import TickBatch
from qvdnode.tls.identity import NodeIdentity
from tests.fakes.desktops import FakeAuthenticator, FakeDesktops, vm
from tests.fakes.fleet import FakeFleet
from tests.fakes.peer_network import PeerNetwork

ENTRY: Final = NodeId(1)
OWNER: Final = NodeId(2)
LOOPBACK: Final = "127.0.0.1"


class AnySeats(GivenSeats):
    """Gives whoever asks a seat at the one display."""

    def __init__(self, display_port: int, limits: LinkLimits) -> None:
        super().__init__(FakeFleet(), limits)
        self._address = DisplayAddress(LOOPBACK, display_port)

    def begin_stream(self, node_id: NodeId, opening: OpenStream, cut: Cut) -> Seat:
        """As GivenSeats, for a seat that nobody gave."""
        key = opening.seat
        seat = Seat(OWNER, key.vm_id, key.generation, self._address, key.ticket)
        self.give(node_id, opening.viewer, seat)
        return super().begin_stream(node_id, opening, cut)


async def serve_owner(folder: Path, peer_port: int, display_port: int) -> None:
    """Be the node of the desktops, until killed."""
    relay, limits = RelaySettings(), LinkLimits()
    seats = AnySeats(display_port, limits)
    streams = StreamService(seats, DisplayDialer(relay), TickBatch(), relay, limits)
    async with PeerNetwork(folder).node(OWNER, {Purpose.STREAM: streams}, peer_port):
        await asyncio.Event().wait()


async def serve_entry(folder: Path, port: int, peer_port: int) -> None:
    """Be the node that clients dial, until killed."""
    identity = NodeIdentity(folder, SystemClock())
    identity.ensure(["localhost"])
    network = PeerNetwork(folder, ports={OWNER: peer_port})
    settings = BrokerSettings(address=LOOPBACK, port=port)
    desktops = FakeDesktops(
        address=DisplayAddress(LOOPBACK, 1),
        node_id=OWNER,
        here=ENTRY,
        vms={number: vm(number) for number in range(1, VMS + 1)},
    )
    dialer = SeatDialer(
        lambda: ENTRY,
        DisplayDialer(settings.relay),
        network.dialer(ENTRY),
        settings.relay,
        LinkLimits(),
    )
    endpoint = Endpoint(
        desktops, FakeAuthenticator(), identity.context, SystemClock(), settings, dialer
    )
    endpoint.listen()
    await endpoint.run()


def main() -> None:
    """Read the command line and serve."""
    role, folder, port, target = sys.argv[1:]
    serve = serve_owner if role == "owner" else serve_entry
    uvloop.run(serve(Path(folder), int(port), int(target)))


if __name__ == "__main__":
    main()
