"""A whole fleet on fakes: everything a test of it needs, on a clock that the test moves."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from qvdnode.model.display_params import DisplayParams
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
from qvdnode.model.vm_state import DisplayState, VmState
from qvdnode.runtime.supervise import Supervisor
from qvdnode.vm.dependencies import FleetDependencies
from qvdnode.vm.driver_table import DriverTable
from qvdnode.vm.fleet import Fleet
from qvdnode.vm.guest_driver import GuestDriver
from qvdnode.vm.instance import Instance
from qvdnode.vm.settings import VmSettings
from qvdnode.vm.status import GuestStatus
from tests.fakes.clock import ManualClock
from tests.fakes.confinement import FakeConfinement
from tests.fakes.desktop_changes import FakeDesktopChanges
from tests.fakes.image_contents import FakeImageContents
from tests.fakes.image_supply import FakeImageSupply
from tests.fakes.memory_driver import MemoryDriver, MemoryHost, MemoryRunFolders
from tests.fakes.memory_freezer import MemoryFreezer
from tests.fakes.memory_past_starts import MemoryPastStarts
from tests.fakes.orders import desktop_order
from tests.fakes.rootfs import FakeRootfs
from tests.fakes.vm_store import FakeFarm, FakeVmStore

TURNS = 120
"""How often the loop must turn at most until nothing happens by itself any more."""
NODE: Final = NodeId(1)
NO_SEAT: Final = Seat(None, VmId(0), Generation(0), DisplayAddress("", 0), 0)


class Client:
    """A client's end: what it was told, and whether it was thrown out."""

    numbers = itertools.count(1)

    def __init__(self) -> None:
        self.viewer = Viewer(ViewerId(str(next(self.numbers))), NODE)
        self.told: list[str] = []
        self.evicted: list[str] = []
        self.seat = NO_SEAT
        self.on_evict: Callable[[], None] | None = None

    def evict(self, reason: str) -> None:
        """What a relay does: close the stream, which the display sees, and report it."""
        self.evicted.append(reason)
        if self.on_evict is not None:
            self.on_evict()

    def hear(self, event: ViewerEvent) -> None:
        """What the node of a client does with the events for it."""
        match event:
            case Progressed():
                self.told.append(event.sentence)
            case Evicted():
                self.evict(event.reason)


class Admission:
    """Refuses beyond `limit_mib`."""

    limit_mib = 1_000_000

    def refusal(self, memory_mib: int, promised_mib: int) -> str | None:
        if memory_mib + promised_mib > self.limit_mib:
            return "no memory for one more desktop."
        return None


@dataclass
class World:
    """One host, one farm, and the node of the moment."""

    folder: Path
    host: MemoryHost = field(default_factory=MemoryHost)
    past_starts: MemoryPastStarts = field(default_factory=MemoryPastStarts)
    farm: FakeFarm = field(default_factory=FakeFarm)
    clock: ManualClock = field(default_factory=ManualClock)
    rootfs: FakeRootfs = field(default_factory=FakeRootfs)
    contents: FakeImageContents = field(default_factory=FakeImageContents)
    confinement: FakeConfinement = field(default_factory=FakeConfinement)
    admission: Admission = field(default_factory=Admission)
    boot_id: str = "boot-1"
    lease_problem: str | None = None
    at_once: int = 4
    queue_max: int = 10
    images: FakeImageSupply = field(default_factory=FakeImageSupply)
    redraws_at_once: int = 4
    clients: dict[Viewer, Client] = field(default_factory=dict)
    tell_viewer: Callable[[ViewerEvent], None] = field(init=False)
    drivers: dict[str, GuestDriver] = field(init=False)
    """Of the next node."""
    fleet: Fleet = field(init=False)

    def __post_init__(self) -> None:
        self.drivers = {"lxc": MemoryDriver(self.host)}
        self.tell_viewer = lambda event: self.clients[event.viewer].hear(event)

    def parts(self) -> FleetDependencies:
        settings = VmSettings(
            starts_at_once=self.at_once,
            queue_max=self.queue_max,
            redraws_at_once=self.redraws_at_once,
        )
        return FleetDependencies(
            drivers=DriverTable(self.drivers),
            images=self.images,
            rootfs=self.rootfs,
            contents=self.contents,
            changes=FakeDesktopChanges(),
            confinement=self.confinement,
            run_folders=MemoryRunFolders(self.host),
            past_starts=self.past_starts,
            store=FakeVmStore(self.farm),
            admission=self.admission,
            freezer=MemoryFreezer(self.host),
            may_merge=lambda tenant, merging: set(merging) <= {tenant},
            clock=self.clock,
            settings=settings,
            instance=Instance(self.folder),
            boot_id=self.boot_id,
            lease_problem=lambda: self.lease_problem,
            node_id=lambda: NODE,
            tell_viewer=self.tell_viewer,
        )

    @asynccontextmanager
    async def node(self) -> AsyncIterator[Fleet]:
        """A node process; leaving the scope is its death, the guests go on."""
        async with Supervisor("node") as tasks:
            self.fleet = Fleet(self.parts())
            _ = tasks.essential("fleet", self.fleet.run())
            await settle()
            yield self.fleet

    def client(self) -> Client:
        """A client whose events are heard."""
        client = Client()
        self.clients[client.viewer] = client
        return client

    async def attach(self, vm_id: int = 7, **params: str) -> Client:
        """Connect and dial, as the broker and the relay do."""
        client = self.client()
        seat = await self.fleet.attach(
            desktop_order(vm_id, user_id=vm_id),
            DisplayParams(**params),  # type: ignore[arg-type]  # only texts are passed
            client.viewer,
        )
        client.seat = seat
        client.on_evict = lambda: self.hang_up(client)
        return client

    def dial(self, client: Client) -> bool:
        """The client's greeting reaches the display."""
        return self.host.display(client.seat.vm_id).connect()

    def hang_up(self, client: Client) -> None:
        """The client's stream ends; both ends notice."""
        for guest in self.host.guests.values():
            mine = guest.spec.vm_id == client.seat.vm_id
            if mine and guest.display and guest.display.state is DisplayState.CONNECTED:
                guest.display.drop()
        self.fleet.detach(client.seat)

    async def connected(self, vm_id: int = 7) -> Client:
        """A client that sees its desktop."""
        client = await self.attach(vm_id)
        assert self.dial(client)
        await settle()
        return client

    def status(self, vm_id: int = 7) -> GuestStatus | None:
        """Of the VM, as the fleet tells it."""
        return next((s for s in self.fleet.guests() if s.order.vm.id == vm_id), None)

    def state(self, vm_id: int = 7) -> VmState:
        """Of the VM, as the fleet tells it."""
        status = self.status(vm_id)
        return VmState.STOPPED if status is None else status.state

    def display(self, vm_id: int = 7) -> DisplayState:
        """Of the VM's display, as the fleet tells it."""
        status = self.status(vm_id)
        return DisplayState.OFF if status is None else status.display

    async def passes(self, seconds: float) -> None:
        """Let that much time go by, in one piece."""
        await settle()
        self.clock.advance(seconds)
        await settle()

    def leaks(self) -> list[str]:
        """What is left of guests."""
        shared = self.fleet._state
        return [
            *(f"guest {name}" for name in self.host.guests),
            *(f"folder {vm_id}" for vm_id in self.host.folders),
            *(f"mount {mount}" for mount in self.rootfs.mounted),
            *(f"port {link}" for link in self.confinement.confined),
            *(f"state file {path.name}" for path in (self.folder / "state").glob("*.json")),
            *(f"slots {shared.slots.taken}" for _ in range(bool(shared.slots.taken))),
            *(f"row {vm_id}" for vm_id, row in self.farm.vms.items() if row.owner is not None),
        ]


async def settle(turns: int = TURNS) -> None:
    """Let everything happen that does not need time, or what that many turns are enough for."""
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined] # asyncio does not tell
    for _ in range(turns):
        await asyncio.sleep(0)
        if not ready:  # the fakes wait for nothing but the clock of the test
            return
