"""Calls between two nodes over real connections, when something goes wrong."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import Invalid, Unavailable
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import Generation, NodeId, VmId
from qvdnode.model.seat import (
    DisplayAddress,
    Evicted,
    Progressed,
    Seat,
    Viewer,
    ViewerEvent,
    ViewerId,
)
from qvdnode.model.vm_state import VmState
from qvdnode.peer import calls
from qvdnode.peer.calls_service import CallsService
from qvdnode.peer.given_seats import GivenSeats
from qvdnode.peer.limits import LinkLimits
from qvdnode.peer.node_links import NodeLinks
from qvdnode.peer.ports import PeerConnection, Purpose
from qvdnode.peer.remote_host import RemoteHost
from qvdnode.runtime.clock import SystemClock
from qvdnode.runtime.supervise import Supervisor
from qvdnode.wire.peer_frames import (
    FRAME_MAX_BYTES,
    LENGTH_BYTES,
    Answer,
    Call,
    Frame,
    Notice,
    Ping,
    Pong,
    body_bytes,
    decode,
    encode,
)
from qvdnode.wire.typed_values import to_plain
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
        async with asyncio.timeout(5):
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


@pytest.fixture
async def farm(tmp_path: Path) -> AsyncIterator[Farm]:
    async with a_farm(tmp_path) as made:
        yield made


def because(caplog: pytest.LogCaptureFixture, event: str) -> list[str]:
    """The reasons that the log gives for that event."""
    return [record.__dict__["because"] for record in caplog.records if record.msg == event]


async def test_a_node_that_is_away_is_said_to_be_at_once(farm: Farm) -> None:
    await until(lambda: farm.host.problem != "it is being connected to")
    before_s = time.monotonic()
    with pytest.raises(Unavailable, match="Node 2 cannot be reached now: node 2 is away"):
        await farm.host.status(VM)
    assert time.monotonic() - before_s < 1
    async with farm.owner():
        await until(lambda: farm.host.problem is None)
        assert await farm.host.status(VM) is None


async def test_calls_fail_when_the_link_breaks_and_work_again_on_the_next(farm: Farm) -> None:
    async with farm.owner():
        farm.fleet.hold()
        starting = asyncio.ensure_future(farm.host.start(desktop_order(VM)))
        await until(lambda: farm.fleet.guest(VM))
    with pytest.raises(Unavailable, match="Node 2 cannot be reached now"):
        await starting
    async with farm.owner():
        await until(lambda: farm.host.problem is None)
        status = await farm.host.status(VM)
        assert status is not None
        assert status.state is VmState.PREPARING


async def test_a_call_after_a_break_waits_for_the_next_link(farm: Farm) -> None:
    async with farm.owner():
        assert await farm.host.status(VM) is None
        await asyncio.sleep(
            QUICK.silence_limit_s + 0.1
        )  # it has lasted, so it is made anew at once
        await farm.break_link()
        assert await farm.host.status(VM) is None


async def test_a_silent_node_is_noticed(farm: Farm, caplog: pytest.LogCaptureFixture) -> None:
    async with farm.owner() as owner:
        assert await farm.host.status(VM) is None
        [(connection, _)] = farm.network.accepted
        assert connection.pipe.stream.transport is not None
        connection.pipe.stream.transport.pause_reading()  # as if its process were stopped
        before_s = time.monotonic()
        with pytest.raises(Unavailable, match=r"it was silent for 0.5 seconds"):
            await farm.host.statuses()
        assert time.monotonic() - before_s < 5
        assert "it was silent for 0.5 seconds" in because(caplog, "peer_dropped")
        assert len(owner.seats) == 0


async def test_a_node_that_was_slow_itself_accuses_nobody(
    farm: Farm, caplog: pytest.LogCaptureFixture
) -> None:
    async with farm.owner():
        assert await farm.host.status(VM) is None
        time.sleep(2)  # noqa: ASYNC251 - blocks the loop of both
        assert await farm.host.status(VM) is None
        await asyncio.sleep(2 * QUICK.ping_every_s)
        assert await farm.host.status(VM) is None
    assert "it was silent for 0.5 seconds" not in because(caplog, "peer_dropped")


async def test_seats_last_while_their_node_comes_back(farm: Farm) -> None:
    async with farm.owner() as owner:
        kept, left = await farm.attach(), await farm.attach()
        await asyncio.sleep(QUICK.silence_limit_s + 0.1)
        await farm.break_link()
        farm.host.detach(left)  # cannot be said now
        await until(lambda: farm.fleet.detached == [left])
        await asyncio.sleep(2 * QUICK.grace_s)
        assert len(owner.seats) == 1
        farm.host.detach(kept)
        await until(lambda: farm.fleet.detached == [left, kept])
        assert len(owner.seats) == 0


async def test_the_seats_of_a_node_that_stays_away_are_freed(farm: Farm) -> None:
    async with farm.owner() as owner:
        seat = await farm.attach()
        farm.links.follow([])
        await until(lambda: farm.fleet.detached == [seat])
        assert len(owner.seats) == 0


async def test_the_seats_of_an_earlier_process_are_freed_at_once(
    tmp_path: Path,
) -> None:
    async with a_farm(tmp_path, replace(QUICK, grace_s=60)) as farm, farm.owner():
        seat = await farm.attach()
        farm.links.follow([])
        farm.links.follow([OWNER])
        await until(lambda: farm.fleet.detached == [seat])


async def test_a_cancelled_attach_gives_its_seat_back(farm: Farm) -> None:
    async with farm.owner() as owner:
        for turns in range(0, 400, 7):
            waiting = asyncio.ensure_future(farm.attach())
            for _ in range(turns):
                await asyncio.sleep(0)
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                farm.host.detach(await waiting)
            await until(lambda: len(owner.seats) == 0)
        assert len(farm.fleet.detached) == farm.fleet.tickets


async def test_events_reach_the_node_of_their_viewer_alone(farm: Farm) -> None:
    async with farm.owner() as owner:
        assert await farm.host.status(VM) is None
        event = Progressed(viewer(), "Starting virtual machine")
        owner.service.tell(THIRD, Progressed(viewer(node=THIRD), "not for you"))
        owner.service.tell(ENTRY, event)
        owner.service.tell(ENTRY, Evicted(viewer(), "a newer connection took over"))
        assert await farm.host.status(VM) is None
    assert farm.events == [event, Evicted(viewer(), "a newer connection took over")]


async def test_an_evicted_client_of_a_node_that_is_away_has_no_seat(farm: Farm) -> None:
    async with farm.owner() as owner:
        seat = await farm.attach()
        farm.links.follow([])
        await until(lambda: not owner.service._links)
        owner.service.tell(ENTRY, Evicted(viewer(), "a newer connection took over"))
        await until(lambda: farm.fleet.detached == [seat])


async def test_a_node_cannot_ask_for_clients_of_another(farm: Farm) -> None:
    async with farm.owner():
        with pytest.raises(Invalid, match="clients of its own"):
            await farm.host.attach(desktop_order(VM), DisplayParams(), viewer(node=THIRD))
        with pytest.raises(Invalid, match="clients of its own"):
            await farm.host.start(desktop_order(VM), viewer(node=THIRD))


async def test_too_many_calls_at_once_are_refused(farm: Farm) -> None:
    async with farm.owner():
        farm.fleet.hold()
        stops = [asyncio.ensure_future(farm.host.stop(VM)) for _ in range(QUICK.calls_max)]
        await asyncio.sleep(0.05)
        with pytest.raises(Unavailable, match="too much at once"):
            await farm.host.stop(VM)
        farm.fleet.let_go()
        await asyncio.gather(*stops)
        assert await farm.host.status(VM) is None


async def test_a_mistake_on_the_other_node_is_told_and_stays_there(
    farm: Farm, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with farm.owner():
        monkeypatch.setattr(farm.fleet, "_guests", None)
        with pytest.raises(Unavailable, match="made a mistake"):
            await farm.host.statuses()
        monkeypatch.undo()
        assert not await farm.host.statuses()
    assert any(record.msg == "peer_call_failed" for record in caplog.records)
    caplog.clear()


async def raw(farm: Farm) -> PeerConnection:
    """A connection of a third node to the one that is asked, for frames of a test's own."""
    return await farm.network.dialer(THIRD).dial(OWNER, Purpose.CALLS)


async def heard(connection: PeerConnection) -> Frame:
    """The next frame that is neither Ping nor Pong."""
    async with asyncio.timeout(5):
        while True:
            size = body_bytes(await connection.pipe.read_exactly(LENGTH_BYTES))
            frame = decode(await connection.pipe.read_exactly(size))
            if frame is not None and not isinstance(frame, Ping | Pong):
                return frame


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ((FRAME_MAX_BYTES + 1).to_bytes(4), "a frame of 4194305 bytes; 4194304 are the most"),
        (b"\0\0\0\1\xc1", "not msgpack"),
        (b"\0\0\0\x10never ended", "it did not end a frame in 0.3 seconds"),
        (b"", "it was silent for 0.5 seconds"),
        (encode(Answer(1, None)), "an answer to what was not asked"),
        (encode(Notice(calls.DETACHED, {"vm_id": "x"})), "detached: generation: missing"),
        (encode(Call(1, "stop", {"vm_id": 7})) * 2, "two calls of one id"),
    ],
)
async def test_a_node_that_sends_what_it_must_not_is_dropped(
    farm: Farm, caplog: pytest.LogCaptureFixture, sent: bytes, reason: str
) -> None:
    async with farm.owner():
        farm.fleet.hold()
        connection = await raw(farm)
        connection.pipe.write(sent)
        async with asyncio.timeout(10):
            await connection.pipe.closed()
        await until(lambda: any(reason in one for one in because(caplog, "peer_dropped")))
        assert await farm.host.status(VM) is None
        farm.fleet.let_go()


async def test_a_node_that_dribbles_a_frame_is_dropped(
    farm: Farm, caplog: pytest.LogCaptureFixture
) -> None:
    async with farm.owner():
        connection = await raw(farm)
        connection.pipe.write((1000).to_bytes(4))

        def dropped() -> bool:
            connection.pipe.write(b"x")
            return bool(because(caplog, "peer_dropped"))

        await until(dropped)
        assert because(caplog, "peer_dropped") == ["it did not end a frame in 0.3 seconds"]


async def test_a_node_that_takes_nothing_is_dropped(
    farm: Farm, caplog: pytest.LogCaptureFixture
) -> None:
    async with farm.owner() as owner:
        connection = await raw(farm)
        connection.pipe.write(encode(Notice(calls.HELD, {"seats": []})))
        await until(lambda: THIRD in owner.service._links)
        transport = connection.pipe.stream.transport
        assert transport is not None
        transport.pause_reading()

        def dropped() -> bool:
            connection.pipe.write(encode(Ping(1)))  # not silent
            for _ in range(64):
                owner.service.tell(THIRD, Progressed(viewer(node=THIRD), "x" * 60_000))
            return bool(because(caplog, "peer_dropped"))

        await until(dropped)
        assert because(caplog, "peer_dropped") == ["it does not take what it is sent"]
        connection.pipe.abort()


async def test_what_a_newer_node_adds_is_ignored_or_told_to_upgrade(farm: Farm) -> None:
    async with farm.owner():
        connection = await raw(farm)
        new_frame = b"\x92\x63\x01"
        connection.pipe.write(
            encode(Notice("rejoiced", {"about": 1}))
            + len(new_frame).to_bytes(4)
            + new_frame
            + encode(Call(1, "status", {"vm_id": 7, "in_colour": True}))
            + encode(Call(2, "paint", {}))
        )
        assert await heard(connection) == Answer(1, None)
        answer = to_plain(await heard(connection))
        assert answer["code"] == "unknown_call"
        assert "does not know the call 'paint'; upgrade" in answer["message"]
        connection.pipe.abort()


async def test_an_older_node_is_told_of_as_such(farm: Farm) -> None:
    async with farm.owner():
        newer = replace(calls.STATUS, name="status_in_colour")
        with pytest.raises(Unavailable, match=r"runs an older version .* upgrade qvdnode there"):
            await farm.host._client.call(newer, calls.OfVm(VM))


async def test_a_newer_connection_of_a_node_replaces_the_older(farm: Farm) -> None:
    async with farm.owner() as owner:
        first = await raw(farm)
        await until(lambda: THIRD in owner.service._links)
        second = await raw(farm)
        async with asyncio.timeout(5):
            await first.pipe.closed()
        second.pipe.write(encode(Call(1, "status", {"vm_id": 7})))
        assert await heard(second) == Answer(1, None)
        second.pipe.abort()


async def test_a_call_that_takes_too_long_is_given_up(farm: Farm) -> None:
    async with farm.owner():
        farm.fleet.hold()
        slow = replace(calls.STOP, limit_s=0.1)
        with pytest.raises(Unavailable, match=r"did not answer 'stop' in 0.1 seconds"):
            await farm.host._client.call(slow, calls.OfVm(VM))
        await until(lambda: not farm.host._client._pending)
        farm.fleet.let_go()


async def test_a_node_that_is_not_followed_any_more_has_no_link(farm: Farm) -> None:
    async with farm.owner() as owner:
        assert await farm.host.status(VM) is None
        assert list(farm.links) == [OWNER]
        farm.links.follow([])
        assert not farm.links
        await until(lambda: not owner.service._links)
