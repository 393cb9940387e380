"""The use cases of a user's desktops, with the database there and away."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from qvdnode.cluster.scheduler import Choice
from qvdnode.model.desktop import DesktopEntry
from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import (
    Conflict,
    Forbidden,
    GuestFailed,
    NodeFull,
    NotFound,
    TimedOut,
    Unavailable,
)
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import Generation, NodeId, TenantId, UserId, VmId
from qvdnode.model.principal import Principal
from qvdnode.model.seat import DisplayAddress, Progress, Seat, Viewer
from qvdnode.model.vm_state import VmState, WireState
from qvdnode.session.connect import Connections, SessionTicket
from qvdnode.session.desktops import Desktops
from qvdnode.session.hosts import Hosts
from qvdnode.session.journal import SessionJournal
from qvdnode.session.readiness import Readiness
from qvdnode.session.running import RunningDesktops
from qvdnode.session.viewers import Viewers
from tests.fakes.clock import ManualClock
from tests.fakes.desktop_map import MapOfDesktops
from tests.fakes.orders import desktop_order
from tests.unit.vm.fleet_world import World as FleetWorld
from tests.unit.vm.fleet_world import settle

if TYPE_CHECKING:
    from qvdnode.db.nodes import Nodes
    from qvdnode.db.user_tokens import UserTokens
    from qvdnode.db.vms import Vms
    from qvdnode.session.place import LocalPlacement
    from qvdnode.session.ports import DesktopHost

ALICE = Principal(UserId(5), TenantId(1), "alice", "default")
LINKED = NodeId(2)
"""A node that this one has a link to."""
SEAT = Seat(NodeId(1), VmId(7), Generation(1), DisplayAddress("10.117.0.7", 4100), ticket=1)


class Rows:
    """Satisfies what the use cases ask of db.vms.Vms."""

    def __init__(self, *orders: DesktopOrder) -> None:
        self.orders = {order.vm.id: order for order in orders}
        self.away = False
        self.asked = 0

    async def desktops_of(self, user_id: UserId, *, applications: bool) -> Sequence[DesktopEntry]:
        self._must_be_there()
        return [
            DesktopEntry(o.vm.id, o.vm.name, WireState.STOPPED, o.vm.blocked, applications)
            for o in self.orders.values()
            if o.vm.user_id == user_id and o.vm.is_application is applications
        ]

    async def order(self, vm_id: VmId) -> DesktopOrder:
        self._must_be_there()
        if vm_id not in self.orders:
            raise NotFound(f"There is no VM {vm_id}.")
        return self.orders[vm_id]

    def _must_be_there(self) -> None:
        self.asked += 1
        if self.away:
            raise Unavailable("The database is away.")


class Status:
    """As much of vm.status.GuestStatus as a listing reads."""

    def __init__(self, order: DesktopOrder) -> None:
        self.order = order
        self.state = VmState.RUNNING


class Guests:
    """Satisfies what the use cases ask of a session.ports.DesktopHost."""

    def __init__(self) -> None:
        self.running: dict[VmId, Status] = {}
        self.fails = False
        self.conflict = ""
        """Why the VM does not run here, if it does not."""
        self.on_attach: Callable[[], None] = lambda: None
        self.attached: list[VmId] = []
        self.detached: list[Seat] = []
        self.stopped: list[VmId] = []
        self.stops = asyncio.Event()
        self.stops.set()

    async def status(self, vm_id: VmId) -> Status | None:
        return self.running.get(vm_id)

    async def statuses(self) -> Sequence[Status]:
        return list(self.running.values())

    async def attach(self, order: DesktopOrder, params: DisplayParams, viewer: Viewer) -> Seat:
        self.on_attach()
        if self.conflict:
            raise Conflict(self.conflict)
        if self.fails:
            raise GuestFailed("The desktop did not come up.", step="display")
        self.attached.append(order.vm.id)
        return SEAT

    def detach(self, seat: Seat) -> None:
        self.detached.append(seat)

    async def stop(self, vm_id: VmId) -> None:
        await self.stops.wait()
        self.stopped.append(vm_id)


class SessionTable:
    """Takes the journal's rows."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, object]] = []

    async def opened(
        self, vm_id: VmId, user_id: UserId, node_id: NodeId, *, source: str, client: str | None
    ) -> int:
        self.rows.append(("opened", (vm_id, user_id, source, client)))
        return 1

    async def closed(self, session_id: int, *, reason: str, bytes_in: int, bytes_out: int) -> None:
        self.rows.append(("closed", (session_id, reason, bytes_in, bytes_out)))


class Places:
    """Satisfies what the use cases ask of session.place.LocalPlacement."""

    def __init__(self) -> None:
        self.full = False
        self.asked: list[VmId] = []
        self.noted: list[tuple[VmId, tuple[str, ...]]] = []

    def choose(self, order: DesktopOrder, without: Collection[NodeId] = ()) -> Choice:
        self.asked.append(order.vm.id)
        if self.full or NodeId(1) in without:
            raise NodeFull("This node is full.")
        return Choice(NodeId(1), ("desk1 was chosen.",))

    async def hears_more(self) -> bool:
        return False

    async def note(self, vm_id: VmId, choice: Choice, refused: Mapping[NodeId, str]) -> None:
        self.noted.append((vm_id, choice.reasons))


class Nobody:
    """A client that is never evicted here."""

    def evict(self, reason: str) -> None:
        raise AssertionError("nobody is evicted by a use case")


def here() -> NodeId:
    return NodeId(1)


class World:
    """The use cases over fakes."""

    def __init__(self, *orders: DesktopOrder) -> None:
        self.linked = Guests()
        self.map = MapOfDesktops()
        self.taken_over: dict[VmId, DesktopOrder] = {}
        self.rows, self.guests, self.places = Rows(*orders), Guests(), Places()
        self.journal = SessionJournal(SessionTable(), lambda: NodeId(1), ManualClock())
        self.viewers, self.readiness = Viewers(here), Readiness()
        self.said: list[str] = []
        self.use(cast("DesktopHost", self.guests))

    def use(self, host: "DesktopHost") -> None:
        """Put the use cases over that host."""
        starts = cast("LocalPlacement", self.places)
        others = {LINKED: cast("DesktopHost", self.linked)}
        hosts = Hosts(host, here, others, starts, cast("Nodes", None))
        self.desktops = Desktops(
            cast("Vms", self.rows),
            cast("UserTokens", None),
            hosts,
            RunningDesktops(hosts, self.map),
            Connections(hosts, self.viewers, self.journal, self.rows.order, self.settled),
            self.readiness,
            stop_limit_s=0.05,
        )

    async def settled(self, order: DesktopOrder, progress: Progress) -> DesktopOrder:
        """Another node may have taken the desktop from one that was lost."""
        return self.taken_over.get(order.vm.id, order)

    async def connect(self, vm_id: int = 7, who: Principal = ALICE) -> Seat:
        return (await self.ticket(vm_id, who)).seat

    async def ticket(self, vm_id: int = 7, who: Principal = ALICE) -> SessionTicket:
        permission = await self.desktops.authorise(who, VmId(vm_id))
        return await self.desktops.connect(
            permission, DisplayParams(), Nobody(), self.said.append, source="192.0.2.1"
        )

    async def stop(self, who: Principal = ALICE) -> None:
        permission = await self.desktops.authorise(who, VmId(7))
        await self.desktops.stop(permission, self.said.append)


async def test_a_user_sees_the_desktops_of_nobody_else() -> None:
    world = World(desktop_order(7), desktop_order(8, user_id=6, login="bob"))
    assert [e.id for e in await world.desktops.entries(ALICE, applications=False)] == [7]


async def test_a_bound_login_sees_its_one_desktop() -> None:
    world = World(desktop_order(7), desktop_order(8))
    bound = replace(ALICE, only_vm=VmId(8))
    assert [e.id for e in await world.desktops.entries(bound, applications=False)] == [8]


async def test_without_the_database_what_runs_here_is_listed() -> None:
    world = World(desktop_order(7), desktop_order(8))
    world.guests.running[VmId(7)] = Status(desktop_order(7))
    world.guests.running[VmId(9)] = Status(desktop_order(9, user_id=6, login="bob"))
    world.rows.away = True
    entries = await world.desktops.entries(ALICE, applications=False)
    assert [(e.id, e.state) for e in entries] == [(7, WireState.RUNNING)]
    assert await world.desktops.entries(ALICE, applications=True) == []


async def test_without_the_database_nobody_is_told_that_they_have_no_desktop() -> None:
    world = World(desktop_order(7))
    world.guests.running[VmId(9)] = Status(desktop_order(9, user_id=6, login="bob"))
    world.rows.away = True
    with pytest.raises(Unavailable):
        await world.desktops.entries(ALICE, applications=False)
    world.guests.running[VmId(7)] = Status(desktop_order(7))
    with pytest.raises(Unavailable):
        await world.desktops.entries(replace(ALICE, only_vm=VmId(8)), applications=False)


async def test_a_stopped_desktop_is_placed_and_attached() -> None:
    world = World(desktop_order(7))
    assert await world.connect() == SEAT
    assert world.places.asked == [7]
    assert world.places.noted == [(7, ("desk1 was chosen.",))]
    assert world.guests.attached == [7]


async def test_a_running_desktop_needs_no_place() -> None:
    world = World(desktop_order(7))
    world.guests.running[VmId(7)] = Status(desktop_order(7))
    world.places.full = True
    await world.connect()
    assert world.places.asked == []


@pytest.mark.parametrize(
    ("who", "refusal"),
    [
        (replace(ALICE, user_id=UserId(6)), Forbidden),
        (replace(ALICE, tenant_id=TenantId(2)), NotFound),
        (replace(ALICE, only_vm=VmId(8)), Forbidden),
    ],
)
async def test_a_refusal_touches_nothing(who: Principal, refusal: type[Exception]) -> None:
    world = World(desktop_order(7))
    with pytest.raises(refusal):
        await world.connect(who=who)
    with pytest.raises(refusal):
        await world.stop(who)
    assert world.places.asked == []
    assert world.guests.attached == world.guests.stopped == []
    assert world.said == []


async def test_a_desktop_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound, match="no desktop 99"):
        await World().connect(99)


async def test_a_full_node_starts_nothing() -> None:
    world = World(desktop_order(7))
    world.places.full = True
    with pytest.raises(NodeFull):
        await world.connect()
    assert world.guests.attached == []


async def test_without_the_database_a_running_desktop_is_reached_and_no_other() -> None:
    world = World(desktop_order(7), desktop_order(8))
    world.guests.running[VmId(7)] = Status(desktop_order(7))
    world.rows.away = True
    assert await world.connect(7) == SEAT
    with pytest.raises(Unavailable):
        await world.connect(8)
    with pytest.raises(Forbidden):
        await world.connect(7, replace(ALICE, user_id=UserId(6)))


async def test_who_waits_for_a_minute_asks_the_database_nothing(tmp_path: Path) -> None:
    world, farm = World(desktop_order(7), desktop_order(8)), FleetWorld(tmp_path)
    farm.farm.add(7, 8)
    farm.tell_viewer = world.viewers.deliver
    farm.at_once = 1  # the second waits for its turn
    farm.host.silent = {VmId(7)}  # the first for a display that says nothing
    async with farm.node() as fleet:
        world.use(fleet)
        waiting = [asyncio.create_task(world.connect(vm_id)) for vm_id in (7, 8)]
        await settle()
        before = (world.rows.asked, farm.farm.asked)
        for _ in range(59):
            await farm.passes(1.0)
        assert (world.rows.asked, farm.farm.asked) == before
        assert not any(task.done() for task in waiting)
        assert "You are number 1 in the queue" in world.said
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_failed_start_opens_no_session() -> None:
    world = World(desktop_order(7))
    world.guests.fails = True
    with pytest.raises(GuestFailed):
        await world.connect()
    await world.journal.flushed(0.1)


async def test_an_ended_stream_gives_the_seat_back() -> None:
    world = World(desktop_order(7))
    ticket = await world.ticket()
    world.desktops.ended(ticket, reason="client closed", bytes_in=1, bytes_out=2)
    assert world.guests.detached == [SEAT]
    assert len(ticket.slave_key) >= 32


async def test_a_stop_says_what_it_does() -> None:
    world = World(desktop_order(7))
    await world.stop()
    assert world.guests.stopped == [7]
    assert world.said == ["Stopping virtual machine"]


async def test_a_stop_that_takes_too_long_is_told() -> None:
    world = World(desktop_order(7))
    world.guests.stops.clear()
    with pytest.raises(TimedOut, match="still being stopped"):
        await world.stop()


def test_the_node_tells_whether_it_serves() -> None:
    world = World()
    assert not world.desktops.alive()
    world.readiness.serving = True
    assert world.desktops.alive()
