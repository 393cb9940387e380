"""Random lives of a fleet: whatever happens in whatever order, some things always hold."""

import asyncio
import contextlib
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from qvdnode.model.errors import FarmError, HostFailed
from qvdnode.model.ids import VmId
from qvdnode.model.seat import Seat
from qvdnode.model.vm_state import DisplayState, VmState
from qvdnode.runtime.supervise import Supervisor
from qvdnode.vm.fleet import Fleet
from qvdnode.wire import session_params
from tests.fakes.orders import desktop_order
from tests.unit.vm.fleet_world import Client, World, settle

pytestmark = pytest.mark.timeout(90)  # a hundred lives take 10 s of processor time
VMS = st.integers(min_value=1, max_value=3)
GEOMETRIES = st.sampled_from(["1x1", "2x2"])
ATTACH_S = 15.0
"""By then who connects to a running desktop has been answered."""
LATEST_S = 120.0
"""By then every limit of the fleet has passed."""


class FleetMachine(RuleBasedStateMachine):
    """Rules are what people, guests, displays, the database and time may do."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.scratch = tempfile.TemporaryDirectory()
        self.world = World(Path(self.scratch.name))
        self.world.farm.add(1, 2, 3)
        self.world.at_once = 1
        self.clients: list[Client] = []
        self.wished: dict[Client, str] = {}
        self.turns: int | None = None
        """How often the loop turns after the next action; None: until nothing happens any more."""
        self.settled = True
        self.asking: list[asyncio.Task[Any]] = []
        self.stop_node: asyncio.Event | None = None
        self.node: asyncio.Task[None] | None = None
        self.run(self.boot())

    # -- people --------------------------------------------------------------------------------

    @rule(vm_id=VMS, geometry=GEOMETRIES)
    def connect(self, vm_id: int, geometry: str) -> None:
        self.ask(lambda: self.attach(vm_id, geometry))

    @rule(vm_id=VMS, turns=st.integers(min_value=0, max_value=9))
    def two_connect_at_nearly_the_same_time(self, vm_id: int, turns: int) -> None:
        self.turns = turns
        self.connect(vm_id, "1x1")
        self.connect(vm_id, "2x2")
        self.run(self.world.passes(ATTACH_S))
        if self.clients:
            self.dial(-1)

    @rule(turns=st.integers(min_value=0, max_value=5))
    def hurry(self, turns: int) -> None:
        """What comes next is followed by something else before it has had all its effects."""
        self.turns = turns

    @rule(vm_id=VMS)
    def stop(self, vm_id: int) -> None:
        self.ask(lambda: self.world.fleet.stop(VmId(vm_id)))

    @rule(vm_id=VMS)
    def start(self, vm_id: int) -> None:
        order = desktop_order(vm_id, user_id=vm_id)
        self.ask(lambda: self.world.fleet.start(order))

    @rule(vm_id=VMS)
    def disconnect(self, vm_id: int) -> None:
        self.ask(lambda: self.world.fleet.disconnect(VmId(vm_id)))

    @rule(vm_id=VMS)
    def hibernate(self, vm_id: int) -> None:
        self.ask(lambda: self.world.fleet.hibernate(VmId(vm_id)))

    @precondition(lambda self: self.clients)
    @rule(number=st.integers(min_value=0, max_value=99))
    def dial(self, number: int) -> None:
        client = self.clients[number % len(self.clients)]
        guests = [guest.spec.vm_id for guest in self.world.host.guests.values()]
        # A relay dials for a client that is still attached, and never for an evicted one.
        if not client.evicted and client.seat.vm_id in guests:
            display = self.world.host.guest(client.seat.vm_id).display
            if display is not None and display.connect():
                asked = session_params.decode(display.options)["GEOMETRY"]
                assert asked == self.wished[client], "it is shown as somebody else wished it"
        self.pause()

    @precondition(lambda self: self.clients)
    @rule(number=st.integers(min_value=0, max_value=99))
    def hang_up(self, number: int) -> None:
        client = self.clients.pop(number % len(self.clients))
        if not client.evicted:
            self.world.hang_up(client)
        self.pause()

    @precondition(lambda self: self.asking)
    @rule(number=st.integers(min_value=0, max_value=99))
    def give_up_waiting(self, number: int) -> None:
        self.asking[number % len(self.asking)].cancel()
        self.pause()

    # -- faults --------------------------------------------------------------------------------

    @precondition(lambda self: self.world.host.guests)
    @rule(vm_id=VMS, number=st.sampled_from([9, 15]))
    def display_ends(self, vm_id: int, number: int) -> None:
        for guest in tuple(self.world.host.guests.values()):
            if guest.spec.vm_id == vm_id and guest.display is not None:
                guest.display.take(number)
        self.pause()

    @precondition(lambda self: self.world.host.guests)
    @rule(vm_id=VMS)
    def guest_ends(self, vm_id: int) -> None:
        if any(guest.spec.vm_id == vm_id for guest in self.world.host.guests.values()):
            self.world.host.exit(vm_id)
        self.pause()

    @rule()
    def database_goes_or_comes(self) -> None:
        self.world.farm.away = not self.world.farm.away

    @rule(method=st.sampled_from(["launch", "run_session", "kill", "signal_display", "freeze"]))
    def driver_fails_or_mends(self, method: str) -> None:
        failing = self.world.host.failing
        if method in failing:
            del failing[method]
        else:
            failing[method] = HostFailed("the host refuses")

    @rule(method=st.sampled_from(["launch", "run_session", "kill", "reclaim"]))
    def driver_stalls_or_goes_on(self, method: str) -> None:
        held = self.world.host.held.pop(method, None)
        if held is None:
            self.world.host.held[method] = asyncio.Event()
        else:
            held.set()
        self.pause()

    @rule(seconds=st.sampled_from([0.3, 5.0, 20.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self.run(self.world.passes(seconds))

    @rule()
    def node_dies_and_comes_back(self) -> None:
        self.run(self.crash())
        self.run(self.boot())

    # -- what always holds ---------------------------------------------------------------------

    @invariant()
    def a_vm_has_one_guest(self) -> None:
        guests = [guest.spec.vm_id for guest in self.world.host.guests.values()]
        assert len(guests) == len(set(guests))

    @invariant()
    def hangups_reach_only_suspended_displays(self) -> None:
        for guest in self.world.host.guests.values():
            if guest.display is not None:
                assert set(guest.display.hangups) <= {DisplayState.SUSPENDED}

    @invariant()
    def nobody_sits_before_a_suspended_display(self) -> None:
        if not self.settled:
            return
        for status in self.world.fleet.guests():
            assert not (status.viewer and status.display is DisplayState.SUSPENDED)
            assert not (status.viewer and status.state is not VmState.RUNNING)

    @invariant()
    def nobody_connected_is_frozen(self) -> None:
        host = self.world.host
        for guest in host.guests.values():
            connected = guest.display and guest.display.state is DisplayState.CONNECTED
            assert not (connected and guest.spec.name in host.frozen)
        if self.settled:
            hibernated = {
                f"qvd-{status.order.vm.id}"
                for status in self.world.fleet.guests()
                if status.state is VmState.HIBERNATED
            }
            assert host.frozen == hibernated

    @invariant()
    def only_one_client_of_a_vm_is_attached(self) -> None:
        attached = [client.seat.vm_id for client in self.clients if not client.evicted]
        assert len(attached) == len(set(attached))

    def teardown(self) -> None:
        """With every fault mended, everything can be stopped, and then nothing is left."""
        host = self.world.host
        host.failing.clear()
        for held in host.held.values():
            held.set()
        host.held.clear()
        self.world.farm.away = False
        self.run(self.world.passes(LATEST_S))
        self.ask(lambda: self.world.fleet.close(stop_guests=True))
        for _ in range(4):
            self.run(self.world.passes(LATEST_S))
        try:
            assert all(task.done() for task in self.asking), self.asking
            assert self.world.leaks() == []
            assert not self.world.fleet.guests()
        finally:
            self.run(self.crash())
            self.loop.close()
            self.scratch.cleanup()

    # -- the machine's own ---------------------------------------------------------------------

    def run(self, work: Coroutine[Any, Any, Any]) -> None:
        self.loop.run_until_complete(work)

    def ask(self, question: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        async def expected() -> None:
            with contextlib.suppress(FarmError):
                await question()

        self.asking = [task for task in self.asking if not task.done()]
        self.asking.append(self.loop.create_task(expected()))
        self.pause()

    def pause(self) -> None:
        turns, self.turns = self.turns, None
        self.settled = turns is None
        if turns != 0:  # else not even the turns that it takes to run nothing
            self.run(settle() if turns is None else settle(turns))

    async def attach(self, vm_id: int, geometry: str) -> Seat:
        client = await self.world.attach(vm_id, geometry=geometry)
        self.clients.append(client)
        self.wished[client] = geometry
        return client.seat

    async def boot(self) -> None:
        stop = self.stop_node = asyncio.Event()

        async def live() -> None:
            async with Supervisor("node") as tasks:
                self.world.fleet = Fleet(self.world.parts())
                _ = tasks.essential("fleet", self.world.fleet.run())
                await stop.wait()

        self.node = self.loop.create_task(live())
        await settle()
        await self.world.fleet.adopt()
        await settle()

    async def crash(self) -> None:
        """The process dies: its tasks with it, and every client's stream."""
        assert self.stop_node is not None
        assert self.node is not None
        self.stop_node.set()
        await self.node
        self.clients.clear()
        for guest in self.world.host.guests.values():
            if guest.display is not None and guest.display.state is DisplayState.CONNECTED:
                guest.display.drop()
        await settle()


FleetMachine.TestCase.settings = settings(stateful_step_count=30)
TestFleetLives = FleetMachine.TestCase
