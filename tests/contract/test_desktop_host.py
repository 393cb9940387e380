"""What a DesktopHost promises: on the fleet of this node, and on one of another node."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from qvdnode.model.console import ConsoleWish
from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import (
    Conflict,
    FarmError,
    GuestFailed,
    NodeBusy,
    NodeFull,
    NotFound,
    TimedOut,
    Unavailable,
)
from qvdnode.model.home_files import Upload
from qvdnode.model.ids import NodeId, VmId
from qvdnode.model.image_commit import CommitWish
from qvdnode.model.seat import Evicted, Progressed, Seat, Viewer, ViewerEvent, ViewerId
from qvdnode.model.vm_state import DisplayState, VmState
from qvdnode.peer.calls_service import CallsService
from qvdnode.peer.given_seats import GivenSeats
from qvdnode.peer.limits import LinkLimits
from qvdnode.peer.node_links import NodeLinks
from qvdnode.peer.ports import Purpose
from qvdnode.peer.viewer_events import ViewerEvents
from qvdnode.runtime.clock import SystemClock
from qvdnode.runtime.supervise import Supervisor
from qvdnode.session.ports import DesktopHost
from tests.fakes.desktop_changes import commit_of
from tests.fakes.linked_host import LinkedHost, crossing
from tests.fakes.orders import desktop_order
from tests.fakes.peer_network import PeerNetwork
from tests.unit.vm.fleet_world import NODE, World, settle

VM, OTHER, THIRD, NO_VM = VmId(7), VmId(8), VmId(9), VmId(99)
ENTRY = NodeId(2)
"""The node that the clients are connected to."""
A_MINUTE_S = 60
LONGER_THAN_A_BOOT_S = 200


@dataclass
class Place:
    """A host with its node, and the events that came from it."""

    host: DesktopHost
    world: World
    events: list[ViewerEvent] = field(default_factory=list)
    is_remote: bool = False

    async def settle(self) -> None:
        """Let everything happen that does not need time, at both ends of a wire."""
        await settle()
        if self.is_remote:
            for _ in range(3):
                assert await self.host.memory(NO_VM) is None  # there and back, behind what was sent
                await settle()

    async def turns(self, count: int) -> None:
        """Let that many iterations of the loop pass."""
        if not self.is_remote:
            await settle(count)
        for _ in range(count if self.is_remote else 0):
            await asyncio.sleep(0)

    async def attach(self, viewer: Viewer, vm_id: int = VM) -> Seat:
        return await self.host.attach(desktop_order(vm_id, user_id=vm_id), DisplayParams(), viewer)

    def attaching(self, viewer: Viewer, vm_id: int = VM) -> "asyncio.Task[Seat]":
        return asyncio.get_running_loop().create_task(self.attach(viewer, vm_id))

    async def connected(self, viewer: Viewer) -> Seat:
        """The seat of a client whose greeting has reached the display."""
        seat = await self.attach(viewer)
        assert self.world.host.display(VM).connect()
        await self.settle()
        return seat

    def told(self, viewer: Viewer) -> list[str]:
        mine = [event for event in self.events if event.viewer == viewer]
        return [event.sentence for event in mine if isinstance(event, Progressed)]

    def evictions(self, viewer: Viewer) -> list[str]:
        mine = [event for event in self.events if event.viewer == viewer]
        return [event.reason for event in mine if isinstance(event, Evicted)]


@pytest.fixture(params=["fleet", "pickled", "node"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    world = World(tmp_path, at_once=1)
    world.farm.add(VM, OTHER)
    events: list[ViewerEvent] = []
    match request.param:
        case "fleet":
            world.tell_viewer = events.append
            async with world.node() as fleet:
                yield Place(fleet, world, events)
        case "pickled":
            world.tell_viewer = crossing(events.append)
            async with world.node() as fleet:
                yield Place(LinkedHost(fleet), world, events)
        case _:
            async with remote(world, events.append) as host:
                yield Place(host, world, events, is_remote=True)


@contextlib.asynccontextmanager
async def remote(
    world: World, deliver: Callable[[ViewerEvent], None]
) -> AsyncIterator[DesktopHost]:
    """The world's fleet as another node has it, over TLS."""
    network, clock, limits = PeerNetwork(world.folder), SystemClock(), LinkLimits()
    events = ViewerEvents(lambda: NODE, _refuse)
    world.tell_viewer = events.deliver
    async with world.node() as fleet:
        seats = GivenSeats(fleet, limits)
        service = CallsService(fleet, seats, clock, limits)
        events.to_node = service.tell
        links = NodeLinks(network.dialer(ENTRY), deliver, clock, limits, random.Random(1))
        links.follow([NODE])
        async with network.node(NODE, {Purpose.CALLS: service}), Supervisor("entry") as tasks:
            _ = tasks.essential("links", links.run())
            yield links[NODE]


def _refuse(event: ViewerEvent) -> None:
    raise AssertionError(f"{event} is not for a client of the desktop's node")


def viewer(name: str = "alice") -> Viewer:
    return Viewer(ViewerId(name), ENTRY)


async def test_a_seat_names_the_node_and_the_vm(place: Place) -> None:
    seat = await place.attach(viewer())
    assert (seat.node_id, seat.vm_id) == (NODE, VM)


async def test_progress_comes_in_order_and_before_the_answer(place: Place) -> None:
    held = place.world.host.held["launch"] = asyncio.Event()
    first, second = place.attaching(viewer("alice")), place.attaching(viewer("bob"), OTHER)
    await place.settle()
    assert place.told(viewer("bob"))[-1] == "You are number 1 in the queue"
    held.set()
    await first
    heard = place.told(viewer("alice"))
    assert heard[0] == "Starting virtual machine"
    assert len(heard) == len(set(heard)) > 1
    await second
    await place.settle()
    assert place.told(viewer("alice")) == heard


async def test_a_newer_client_evicts_the_older_one(place: Place) -> None:
    first = await place.connected(viewer("alice"))
    taking_over = place.attaching(viewer("bob"))
    await place.settle()
    assert place.evictions(viewer("alice")) == ["a newer connection took over"]
    place.world.host.display(VM).drop()
    place.host.detach(first)
    second = await taking_over
    assert second.ticket > first.ticket
    assert place.evictions(viewer("bob")) == []


async def test_a_disconnect_evicts_once_and_tells_whether_there_was_a_client(place: Place) -> None:
    assert not await place.host.disconnect(VM)
    await place.connected(viewer())
    assert await place.host.disconnect(VM)
    assert place.evictions(viewer()) == ["disconnected by an administrator"]
    assert not await place.host.disconnect(VM)
    assert len(place.evictions(viewer())) == 1


async def test_a_seat_that_was_given_back_is_told_nothing(place: Place) -> None:
    seat = await place.connected(viewer())
    place.world.host.display(VM).drop()
    place.host.detach(seat)
    place.host.detach(seat)
    await place.settle()
    before = list(place.events)
    await place.host.stop(VM)
    assert place.events == before


async def test_a_client_that_never_dialled_gives_its_seat_back(place: Place) -> None:
    seat = await place.attach(viewer("alice"))
    place.host.detach(seat)
    await place.settle()
    status = await place.host.status(VM)
    assert status is not None
    assert not status.viewer


async def test_a_cancelled_attach_withdraws_the_client(place: Place) -> None:
    held = place.world.host.held["launch"] = asyncio.Event()
    waiting = place.attaching(viewer())
    await place.settle()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await place.settle()
    before = list(place.events)
    held.set()
    await place.settle()
    status = await place.host.status(VM)
    assert status is None or not status.viewer
    assert place.events == before


async def test_an_attach_that_is_cancelled_with_its_answer_holds_no_seat(place: Place) -> None:
    for turns in range(100):
        waiting = place.attaching(viewer(f"client {turns}"))
        await place.turns(turns)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await place.settle()
        status = await place.host.status(VM)
        if not waiting.cancelled():
            break
        assert status is None or not status.viewer
    else:
        raise AssertionError("no attach was ever answered")


async def test_a_start_tells_its_viewer_or_nobody(place: Place) -> None:
    await place.host.start(desktop_order(OTHER, user_id=OTHER))
    assert place.events == []
    await place.host.start(desktop_order(VM, user_id=VM), viewer())
    assert place.told(viewer())[0] == "Starting virtual machine"
    states = {status.order.vm.id: status.state for status in await place.host.statuses()}
    assert states == {VM: VmState.RUNNING, OTHER: VmState.RUNNING}


async def test_a_stop_evicts_and_leaves_nothing(place: Place) -> None:
    await place.host.stop(VM)
    await place.connected(viewer())
    await place.host.stop(VM)
    await place.settle()
    assert place.evictions(viewer()) == ["the desktop is being stopped"]
    assert await place.host.status(VM) is None
    assert place.world.leaks() == []


async def test_what_can_be_read_of_a_desktop(place: Place) -> None:
    await place.connected(viewer())
    status = await place.host.status(VM)
    assert status is not None
    assert (status.state, status.display, status.viewer) == (
        VmState.RUNNING,
        DisplayState.CONNECTED,
        True,
    )
    assert await place.host.memory(VM) is not None
    assert "Waiting for connection" in await place.host.log_tail(VM)
    await place.host.type_text(VM, "日本語")
    wish = CommitWish("icewm", "test", "why: ñ", "ana")
    assert await place.host.commit(VM, wish) == commit_of(wish)


async def test_a_console_is_one_persons_at_a_time(place: Place) -> None:
    await place.connected(viewer())
    host = place.host
    await host.console(VM, ConsoleWish("a", begins=True))
    await host.console(VM, ConsoleWish("a", typed=b"who\n"))
    assert (await host.console(VM, ConsoleWish("a"))).shown == b"who\n"
    with pytest.raises(Conflict, match="Somebody else"):
        await host.console(VM, ConsoleWish("b", begins=True))
    assert not (await host.console(VM, ConsoleWish("a", ends=True))).is_open
    assert (await host.console(VM, ConsoleWish("b", begins=True))).is_open
    await host.console(VM, ConsoleWish("b", ends=True))
    assert not (await host.console(VM, ConsoleWish("b"))).is_open


async def test_of_a_desktop_that_does_not_run_there_is_nothing(place: Place) -> None:
    assert await place.host.status(VM) is None
    assert not await place.host.statuses()
    assert await place.host.memory(VM) is None
    assert not await place.host.past_starts(VM)
    with pytest.raises(NotFound):
        await place.host.log_tail(VM)
    with pytest.raises(NotFound):
        await place.host.type_text(VM, "é")
    upload = Upload("", "a", 1, "0" * 32, replace=False)
    for refused in (
        place.host.list_files(VM, ""),
        place.host.read_file(VM, "a", 0, 1),
        place.host.upload(VM, upload, 0, b"x"),
        place.host.cancel_upload(VM, upload),
        place.host.console(VM, ConsoleWish("a", begins=True)),
    ):
        with pytest.raises(NotFound, match="does not run"):
            await refused


async def test_an_order_that_may_not_wait_is_refused_by_a_busy_host(place: Place) -> None:
    place.world.farm.add(THIRD)
    impatient = replace(desktop_order(VM), may_wait=False)
    held = place.world.host.held["launch"] = asyncio.Event()
    others = [place.attaching(viewer(f"user{vm_id}"), vm_id) for vm_id in (OTHER, THIRD)]
    await place.settle()
    with pytest.raises(NodeBusy) as caught:
        await place.host.start(impatient)
    assert caught.value.waiting == 1
    with pytest.raises(NodeBusy):
        await place.host.attach(impatient, DisplayParams(), viewer())
    assert await place.host.status(VM) is None
    held.set()
    await asyncio.gather(*others)
    await place.host.start(impatient)
    await place.host.start(impatient)  # one that runs needs no slot


def full(world: World) -> None:
    world.admission.limit_mib = 0


def broken(world: World) -> None:
    world.host.failing["launch"] = GuestFailed("It did not come up.", step="launch")


def silent(world: World) -> None:
    world.host.silent = {VM}


def away(world: World) -> None:
    world.farm.away = True


def owned_elsewhere(world: World) -> None:
    world.farm.vms[VM].owner = NodeId(2)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (full, NodeFull),
        (broken, GuestFailed),
        (silent, TimedOut),
        (away, Unavailable),
        (owned_elsewhere, Conflict),
    ],
)
async def test_each_kind_of_error_comes_through(
    place: Place, fault: Callable[[World], None], kind: type[FarmError]
) -> None:
    fault(place.world)
    waiting = place.attaching(viewer())
    for _ in range(LONGER_THAN_A_BOOT_S // A_MINUTE_S + 1):
        await place.world.passes(A_MINUTE_S)
    with pytest.raises(kind):
        await waiting
    before = list(place.events)
    await place.settle()
    assert place.events == before
    status = await place.host.status(VM)
    assert status is None or not status.viewer


async def test_a_client_whose_place_is_taken_while_it_waits_is_refused(place: Place) -> None:
    held = place.world.host.held["launch"] = asyncio.Event()
    first = place.attaching(viewer("alice"))
    await place.settle()
    second = place.attaching(viewer("bob"))
    await place.settle()
    with pytest.raises(Conflict, match="newer connection"):
        await first
    held.set()
    await second
    assert place.evictions(viewer("alice")) == []
