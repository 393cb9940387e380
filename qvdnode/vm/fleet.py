"""All VMs of this node: finds or makes a VM's actor and posts the request to it.

Meets session.ports.DesktopHost for this node.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from qvdnode.host.guest_home import GuestHome
from qvdnode.model.console import ConsoleOutput, ConsoleWish
from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import NodeBusy, NotFound, Unavailable
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.guest import GuestMemory, HostNeed
from qvdnode.model.home_files import FileListing, FilePart, Upload, UploadState
from qvdnode.model.ids import TenantId, VmId
from qvdnode.model.image_commit import CommitRecord, CommitWish
from qvdnode.model.plurals import counted, verb
from qvdnode.model.seat import Seat, Viewer
from qvdnode.model.vm_state import UP, VmState
from qvdnode.runtime.supervise import Supervisor
from qvdnode.vm import adoption
from qvdnode.vm.adoption import AdoptionReport
from qvdnode.vm.core import messages as m
from qvdnode.vm.core.guest_limits import Measured
from qvdnode.vm.core.id_slots import IdSlots
from qvdnode.vm.core.start_record import StartRecord, text_of
from qvdnode.vm.dependencies import FleetDependencies, FleetState
from qvdnode.vm.guest import text_input
from qvdnode.vm.guest.actor import GuestActor, Request
from qvdnode.vm.guest.consoles import Consoles
from qvdnode.vm.guest.home_files import HomeAccess
from qvdnode.vm.guest_driver import Ballooning
from qvdnode.vm.start_limiter import StartLimiter
from qvdnode.vm.state_file import StateFiles
from qvdnode.vm.status import FleetLoad, GuestStatus

log = logging.getLogger(__name__)

T = TypeVar("T")


class Fleet:
    """`run` must be running; `adopt` comes before anything else is asked."""

    def __init__(self, dependencies: FleetDependencies) -> None:
        settings = dependencies.settings
        self._dependencies = dependencies
        self._state = FleetState(
            limiter=StartLimiter(settings.starts_at_once, settings.queue_max),
            redraws=asyncio.Semaphore(settings.redraws_at_once),
            slots=IdSlots(settings.id_base, settings.id_slots),
            state_files=StateFiles(dependencies.instance.state_files),
            promised=self.promised,
            merging=self.merging,
            overhead_mib=dependencies.drivers.overhead_mib,
        )
        self._actors: dict[VmId, GuestActor] = {}
        started_us = int(dependencies.clock.now().timestamp() * 1_000_000)
        self._numbers = itertools.count(started_us)
        """Of requests; a client's is also the ticket of its seat. They begin at the time of the
        start: another node may still have tickets of an earlier process."""
        self._homes = HomeAccess()
        self._consoles = Consoles(dependencies)
        self._tasks: Supervisor | None = None
        self._running = asyncio.Event()
        self._closing = False

    async def run(self) -> None:
        """Own the actors, until cancelled; guests that run are left running."""
        try:
            async with Supervisor("fleet") as self._tasks:
                self._running.set()
                await asyncio.Event().wait()
        finally:
            self._running.clear()
            self._tasks = None

    async def attach(self, order: DesktopOrder, params: DisplayParams, viewer: Viewer) -> Seat:
        """Return the address of a display that listens for this client; start it if need be.

        Raises NodeFull, GuestFailed, TimedOut, Unavailable, Conflict; then nobody is attached.
        """
        self._require_slot(order)
        actor = self._actor(order)
        answer: asyncio.Future[Seat] = asyncio.get_running_loop().create_future()
        # The number is the ticket of the seat, too: unique for the process, so a seat of an earlier
        # client can never be mistaken for this one.
        client = next(self._numbers)
        request = Request(answer, viewer)
        actor.ask(client, request, m.AttachAsked(client, order, params))
        try:
            return await answer
        except asyncio.CancelledError:
            # The answer may be on its way: `Withdrawn` frees the seat in that case as well.
            if not actor.closed:
                actor.post(m.Withdrawn(client))
            raise

    def detach(self, seat: Seat) -> None:
        """The stream of that seat has ended; a stale one is ignored."""
        actor = self._known(seat.vm_id)
        if actor is not None:
            actor.post(m.Detached(seat.ticket))

    async def start(self, order: DesktopOrder, viewer: Viewer | None = None) -> None:
        """Return once the VM's desktop runs; raises as `attach`. The viewer gets the progress."""
        self._require_slot(order)
        actor = self._actor(order)
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        number = next(self._numbers)
        actor.ask(number, Request(answer, viewer), m.StartAsked(number, order))
        await answer

    async def stop(self, vm_id: VmId) -> None:
        """Return once nothing of the VM is left, its row included; one that does not run is fine.

        While the database is away the row is written later.
        """
        actor = self._known(vm_id)
        if actor is None:
            return
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        number = next(self._numbers)
        actor.ask(number, Request(answer), m.StopAsked(number))
        # Whoever deletes the VM next must find a row without an owner.
        await answer
        await actor.recorded()

    def end_for_disk(self, vm_id: VmId, reason: str, *, at_once: bool) -> None:
        """End a desktop that fills the disk: kill it `at_once`, or ask it first."""
        actor = self._known(vm_id)
        if actor is not None:
            actor.post(m.DiskFilled(reason, at_once))

    async def disconnect(self, vm_id: VmId) -> bool:
        """Close the stream of the VM's client; False if it has none."""
        actor = self._known(vm_id)
        if actor is None:
            return False
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        number = next(self._numbers)
        actor.ask(number, Request(answer), m.DisconnectAsked(number))
        return await answer

    async def hibernate(self, vm_id: VmId) -> bool:
        """Freeze a desktop that nobody uses, its memory to go to swap; False if it is in use.

        The next client, start or stop thaws it.
        """
        actor = self._known(vm_id)
        if actor is None:
            return False
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        number = next(self._numbers)
        actor.ask(number, Request(answer), m.HibernateAsked(number))
        return await answer

    async def status(self, vm_id: VmId) -> GuestStatus | None:
        """Status of the VM, or None when nothing of it is on this node."""
        actor = self._known(vm_id)
        return None if actor is None else actor.status()

    async def statuses(self) -> Sequence[GuestStatus]:
        """Status of every VM that is on this node."""
        return self.guests()

    def guests(self) -> Sequence[GuestStatus]:
        """The same at once, for other parts of this node."""
        return [actor.status() for actor in self._actors.values() if not actor.closed]

    def promised(self) -> Sequence[DesktopOrder]:
        """The orders of all guests that start or run, each as it was admitted."""
        # Also of guests that are only starting: their memory is promised before it is used.
        orders = [actor.promised for actor in self._actors.values()]
        return [order for order in orders if order is not None]

    def control_groups(self, wanted: Callable[[DesktopOrder], bool]) -> Sequence[str]:
        """The control groups of the guests whose order is wanted, as far as they have one."""
        groups = [
            actor.control_group()
            for actor in self._actors.values()
            if (order := actor.promised) is not None and wanted(order)
        ]
        return [group for group in groups if group is not None]

    def merging(self) -> Collection[TenantId]:
        """The tenants of all guests whose memory the kernel may merge."""
        tenants = {actor.merging for actor in self._actors.values()}
        return {tenant for tenant in tenants if tenant is not None}

    def load(self) -> FleetLoad:
        """What all of them use together."""
        return FleetLoad(
            guests=len(self._actors),
            promised_mib=self._state.promised_mib(),
            starts_at_once=self._state.limiter.at_once,
            starts_queued=self._state.limiter.queued,
            starts_free=self._state.limiter.free,
        )

    def start_at_once(self, starts: int) -> None:
        """Bring up at most so many VMs at the same time from now on."""
        self._state.limiter.resize(starts)

    async def memory(self, vm_id: VmId) -> GuestMemory | None:
        """What the VM's guest uses now, or None when it does not run here."""
        actor = self._known(vm_id)
        # Asked from the driver, not from the actor: measuring must not wait for a turn behind a
        # start.
        running = None if actor is None else self._dependencies.running(actor.guest)
        return None if running is None else await running[0].memory(running[1])

    async def settle_balloon(self, vm_id: VmId, need: HostNeed) -> int | None:
        """Have the VM's guest give memory back, or return it; how many MiB are taken of it.

        None for a guest that has no balloon. Raises HostFailed, TimedOut.
        """
        actor = self._known(vm_id)
        running = None if actor is None else self._dependencies.running(actor.guest)
        if running is None or not isinstance(running[0], Ballooning):
            return None
        return await running[0].settle_balloon(running[1], need)

    def control_group(self, vm_id: VmId) -> str | None:
        """The control group of the VM's guest; None without a guest, or without one of its own."""
        actor = self._known(vm_id)
        return None if actor is None else actor.control_group()

    async def type_text(self, vm_id: VmId, text: str) -> None:
        """Type a text on the VM's display; raises NotFound, GuestFailed, Conflict, TimedOut."""
        actor = self._known(vm_id)
        if actor is None:
            raise NotFound("This desktop does not run, so nothing can be typed in it.")
        await text_input.type_text(self._dependencies, actor.guest, text)

    async def console(self, vm_id: VmId, wish: ConsoleWish) -> ConsoleOutput:
        """Exchange with a guest's console; raises NotFound, Conflict, HostFailed, TimedOut."""
        actor = self._known(vm_id)
        return await self._consoles.exchange(vm_id, None if actor is None else actor.guest, wish)

    async def list_files(self, vm_id: VmId, path: str) -> FileListing:
        """As DesktopHost."""
        return await self._in_home(vm_id, lambda home: home.list(path))

    async def read_file(self, vm_id: VmId, path: str, offset: int, length: int) -> FilePart:
        """As DesktopHost."""
        return await self._in_home(vm_id, lambda home: home.read(path, offset, length))

    async def upload(self, vm_id: VmId, upload: Upload, offset: int, content: bytes) -> UploadState:
        """As DesktopHost."""
        return await self._in_home(vm_id, lambda home: home.upload(upload, offset, content))

    async def cancel_upload(self, vm_id: VmId, upload: Upload) -> None:
        """As DesktopHost."""
        await self._in_home(vm_id, lambda home: home.cancel(upload))

    async def commit(self, vm_id: VmId, wish: CommitWish) -> CommitRecord:
        """Commit what was changed in a desktop; raises NotFound, BadImage, HostFailed, NodeFull."""
        actor = self._known(vm_id)
        if actor is None or actor.status().state not in UP:
            raise NotFound("This desktop does not run; only one that runs has changes to commit.")
        return await self._dependencies.changes.commit(vm_id, wish)

    async def log_tail(self, vm_id: VmId) -> str:
        """The ends of the VM's logs: of its last starts, and of the guest that runs.

        Raises NotFound when it was never started here.
        """
        past = await self.past_starts(vm_id)
        status = await self.status(vm_id)
        runs = status is not None and status.state in {VmState.BOOTING, *UP}
        now = self._dependencies.run_folders.log_tail(vm_id) if runs else None
        if not past and now is None:
            raise NotFound("This VM was not started here yet, so it has no log.")
        return text_of(past, now)

    async def past_starts(self, vm_id: VmId) -> Sequence[StartRecord]:
        """The VM's last starts on this node whose guest is gone, oldest first."""
        return await self._dependencies.past_starts.of(vm_id)

    async def watch_limits(self) -> None:
        """Measure which guests have reached their limits, until cancelled."""
        while True:
            await self._dependencies.clock.sleep(self._dependencies.settings.limits_every_s)
            actors = [actor for actor in self._actors.values() if not actor.closed]
            # The files of control groups are read in a thread; each actor counts in the loop,
            # unless its guest ended meanwhile.
            for actor, measured in await asyncio.to_thread(_measured, actors):
                if measured is not None and not actor.closed:
                    actor.count_limits(measured)

    async def adopt(self) -> AdoptionReport:
        """Adopt the guests of an earlier process; remove what belongs to no VM of this node."""
        # Actors of adopted guests are tasks of `run`.
        await self._running.wait()
        report = await adoption.adopt(self._dependencies, self._state, self._take_over)
        if not report.database and self._tasks is not None:
            log.warning("adopted_without_database", extra={"guests": len(report.adopted)})
            later = adoption.release_unknown(self._dependencies, self._actors.keys)
            _ = self._tasks.isolated("release-rows", later)
        return report

    async def close(self, *, stop_guests: bool) -> None:
        """Take no more starts; stop every guest, or those that are not up yet."""
        # First: a client that was evicted by a stop would otherwise start its VM again at once.
        self._closing = True
        going = [
            status.order.vm.id for status in self.guests() if stop_guests or status.state not in UP
        ]
        async with asyncio.TaskGroup() as group:
            for vm_id in going:
                _ = group.create_task(self.stop(vm_id), name=f"stop-vm-{vm_id}")
        if stop_guests:
            await adoption.sweep(self._dependencies, [])

    async def _in_home(self, vm_id: VmId, work: Callable[[GuestHome], T]) -> T:
        actor = self._known(vm_id)
        if actor is None:
            raise NotFound("This desktop does not run, so its files cannot be reached. Start it.")
        return await self._homes.run(self._dependencies, actor.guest, work)

    def _take_over(self, found: adoption.FoundResources) -> None:
        self._actor(found.guest.order).adopt(
            found.guest, acquired=found.acquired, whole=found.whole, error=found.error
        )

    def _known(self, vm_id: VmId) -> GuestActor | None:
        actor = self._actors.get(vm_id)
        return None if actor is None or actor.closed else actor

    def _require_slot(self, order: DesktopOrder) -> None:
        """Raise NodeBusy if a start of it would have to wait, and may not."""
        limiter = self._state.limiter
        if order.may_wait or limiter.free > 0 or self._known(order.vm.id) is not None:
            return
        waiting = limiter.queued
        told = f"{counted(waiting, 'desktop')} {verb(waiting, 'wait')} to be started already."
        raise NodeBusy(f"This node is busy: {told}", waiting=waiting)

    def _actor(self, order: DesktopOrder) -> GuestActor:
        vm_id = order.vm.id
        # A closed actor takes no more messages, so a new one takes its place at once. The two
        # cannot both write the row: an actor closes only after its last write.
        actor = self._known(vm_id)
        if actor is not None:
            return actor
        if self._tasks is None or self._closing:
            raise Unavailable("This node is starting or stopping; try again soon.")
        actor = GuestActor(order, self._dependencies, self._state)
        self._actors[vm_id] = actor
        _ = self._tasks.isolated(f"vm-{vm_id}", self._run(actor))
        return actor

    async def _run(self, actor: GuestActor) -> None:
        try:
            await actor.run()
        finally:
            # A new actor may have taken its place already.
            if self._actors.get(actor.vm_id) is actor:
                del self._actors[actor.vm_id]


def _measured(actors: Sequence[GuestActor]) -> list[tuple[GuestActor, Measured | None]]:
    return [(actor, actor.measure_limits()) for actor in actors]
