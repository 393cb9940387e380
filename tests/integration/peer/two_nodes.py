"""Two nodes that ask each other over real connections, and frames of a test's own."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import Generation, NodeId, VmId
from qvdnode.model.seat import (
    DisplayAddress,
    Seat,
    Viewer,
    ViewerEvent,
    ViewerId,
)
from qvdnode.peer.calls_service import CallsService
from qvdnode.peer.given_seats import GivenSeats
from qvdnode.peer.limits import LinkLimits
from qvdnode.peer.node_links import NodeLinks
from qvdnode.peer.ports import PeerConnection, Purpose
from qvdnode.peer.remote_host import RemoteHost
from qvdnode.runtime.clock import SystemClock
from qvdnode.runtime.supervise import Supervisor
from qvdnode.wire.peer_frames import (
    LENGTH_BYTES,
    Frame,
    Ping,
    Pong,
    body_bytes,
    decode,
)
from tests.fakes.fleet import FakeFleet
from tests.fakes.orders import desktop_order
from tests.fakes.peer_network import PeerNetwork
from tests.waiting import until

ENTRY, OWNER, THIRD = NodeId(1), NodeId(2), NodeId(3)
VM = VmId(7)
QUICK = LinkLimits(
    ping_every_s=0.05,
    silence_limit_s=0.5,
    frame_limit_s=0.3,
    waiting_max_bytes=1 << 20,
    calls_max=3,
    grace_s=0.3,
    evict_limit_s=0.2,
    redial_first_s=0.05,
    redial_most_s=0.1,
)


class SeatingFleet(FakeFleet):
    """One whose displays always listen."""

    tickets = 0

    async def attach(self, order: DesktopOrder, params: DisplayParams, viewer: Viewer) -> Seat:
        await self._gate.wait()
        self.tickets += 1
        address = DisplayAddress("10.1.2.3", 4100)
        return Seat(OWNER, order.vm.id, Generation(1), address, self.tickets)


@dataclass
class Owner:
    """A process of the node that runs the desktops."""

    service: CallsService
    seats: GivenSeats


@dataclass
class Farm:
    """Two nodes: one that asks, and one that is asked and can be killed."""

    network: PeerNetwork
    links: NodeLinks
    limits: LinkLimits
    fleet: SeatingFleet = field(default_factory=SeatingFleet)
    events: list[ViewerEvent] = field(default_factory=list)

    @property
    def host(self) -> RemoteHost:
        """The node that is asked."""
        return self.links[OWNER]

    @contextlib.asynccontextmanager
    async def owner(self) -> AsyncIterator[Owner]:
        """A process of it; at the end of the scope it dies, and comes back at the same port."""
        seats = GivenSeats(self.fleet, self.limits)
        service = CallsService(self.fleet, seats, SystemClock(), self.limits)
        port = self.network.ports.get(OWNER, 0)
        async with self.network.node(OWNER, {Purpose.CALLS: service}, port):
            await until(lambda: self.host.problem is None)
            yield Owner(service, seats)
        self.network.cut(Purpose.CALLS)

    async def break_link(self) -> None:
        """Break the connection; returns before the next one is there."""
        self.network.cut(Purpose.CALLS)
        async with asyncio.timeout(30):
            while self.host.problem is None:  # noqa: ASYNC110 - until() may come too late
                await asyncio.sleep(0)

    async def attach(self) -> Seat:
        """A seat of a client of the node that asks."""
        return await self.host.attach(desktop_order(VM), DisplayParams(), viewer())


def viewer(name: str = "alice", node: NodeId = ENTRY) -> Viewer:
    return Viewer(ViewerId(name), node)


@contextlib.asynccontextmanager
async def a_farm(folder: Path, limits: LinkLimits = QUICK) -> AsyncIterator[Farm]:
    network, events = PeerNetwork(folder), list[ViewerEvent]()
    links = NodeLinks(network.dialer(ENTRY), events.append, SystemClock(), limits, random.Random(1))
    links.follow([OWNER])
    async with Supervisor("entry") as tasks:
        _ = tasks.essential("links", links.run())
        yield Farm(network, links, limits, events=events)


async def passes(seconds: float) -> None:
    """Let that much time go by: what is waited for is that nothing happens."""
    over_s = time.monotonic() + seconds
    await until(lambda: time.monotonic() > over_s, limit_s=seconds + 5)


def because(caplog: pytest.LogCaptureFixture, event: str) -> list[str]:
    """The reasons that the log gives for that event."""
    return [record.__dict__["because"] for record in caplog.records if record.msg == event]


async def raw_connection(farm: Farm) -> PeerConnection:
    """A connection of a third node to the one that is asked, for frames of a test's own."""
    return await farm.network.dialer(THIRD).dial(OWNER, Purpose.CALLS)


async def heard(connection: PeerConnection) -> Frame:
    """The next frame that is neither Ping nor Pong."""
    async with asyncio.timeout(30):
        while True:
            size = body_bytes(await connection.pipe.read_exactly(LENGTH_BYTES))
            frame = decode(await connection.pipe.read_exactly(size))
            if frame is not None and not isinstance(frame, Ping | Pong):
                return frame
