"""Brings a guest from nothing to a running PID 1, as a list of steps.

What each step makes is noted in GuestResources before the next begins, and teardown.py undoes what
is noted: also after a restart of the node, which is why this is not a runtime.rollback.Rollback. A
stop never interrupts a step, since half a mount could not be noted; it takes effect between steps.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from qvdnode.model.errors import (
    AcquireUnknown,
    Conflict,
    FarmError,
    GuestFailed,
    HostFailed,
    LeaseLost,
    NodeFull,
)
from qvdnode.model.ids import Generation
from qvdnode.vm.core import messages as m
from qvdnode.vm.dependencies import FleetDependencies, FleetState
from qvdnode.vm.guest.row_writer import RowWriter
from qvdnode.vm.resources import GuestResources

T = TypeVar("T")


class BringUp:
    """One attempt. `run` holds a start slot until `finish` or `cancel`."""

    def __init__(
        self,
        dependencies: FleetDependencies,
        state: FleetState,
        guest: GuestResources,
        row: RowWriter,
        start: int,
        post: Callable[[m.OfGuest], None],
    ) -> None:
        self._dependencies = dependencies
        self._state = state
        self._guest = guest
        self._row = row
        self._start = start
        self._post = post
        self._unwanted = self._queueing = False
        self._task: asyncio.Task[object] | None = None
        self._finished = asyncio.Event()
        self._ended = asyncio.Event()

    def cancel(self) -> None:
        """Nobody wants it any more: end between two steps."""
        self._unwanted = True
        self._finished.set()
        if self._queueing and self._task is not None:
            self._task.cancel()

    def finish(self) -> None:
        """The desktop is up: give the start slot to the next VM."""
        self._finished.set()

    async def ended(self) -> None:
        """Return when no step runs any more."""
        await self._ended.wait()

    async def run(self) -> None:
        """Bring the guest up; posts how it went."""
        self._task = asyncio.current_task()
        error: FarmError | None = GuestFailed("The node made a mistake; see its log.", step="start")
        try:
            await self._in_slot()
            error = None
        except FarmError as expected:
            error = expected
        finally:
            self._ended.set()
            if error is not None:
                self._post(m.BringUpFailed(self._start, error))

    async def _in_slot(self) -> None:
        clock = self._dependencies.clock
        asked = clock.monotonic_s()
        # A stop may come before this task first runs.
        self._require_wanted()
        self._queueing = True
        await self._image()
        self._guest.steps["image"] = clock.monotonic_s() - asked
        asked = clock.monotonic_s()
        async with self._state.limiter.slot(self._queued):
            self._queueing = False
            self._guest.steps["queue"] = clock.monotonic_s() - asked
            self._post(m.SlotGiven(self._start))
            await self._steps()
            self._ended.set()
            await self._finished.wait()

    async def _image(self) -> None:
        """Have the image on this node. Not in a start slot: other desktops need not wait for it."""
        order, dependencies = self._guest.order, self._dependencies
        memory, promised_mib = self._state.needed_mib(order), self._state.promised_mib()
        # A node that is full says so at once, and not after it has fetched the image.
        refusal = dependencies.admission.refusal(memory, promised_mib)
        if refusal is not None:
            raise NodeFull(refusal)
        await dependencies.images.bring(
            order.flavour.image_id,
            order.image_version,
            lambda sentence: self._post(m.ImageFetched(self._start, sentence)),
        )

    def _queued(self, place: int) -> None:
        self._post(m.Queued(self._start, place))

    async def _steps(self) -> None:
        guest, dependencies, vm = self._guest, self._dependencies, self._guest.order.vm
        rules, root = dependencies.confinement, dependencies.rootfs
        await self._step("admit", self._admit)
        # The release by an earlier start may still be unwritten; the row is not free before.
        await self._step("row", self._row.flush)
        generation = await self._step("acquire", self._acquire)
        guest.ids = ids = self._state.slots.take()
        guest.port = port = await self._step(
            "network", lambda: rules.reserve(vm.id, egress=guest.order.flavour.egress)
        )
        guest.root = await self._step("mount", lambda: root.mount(guest.order, generation, ids))
        await self._step("run_folder", lambda: dependencies.run_folders.create(vm.id, ids))
        await self._step("confine", lambda: rules.confine(port))
        spec = dependencies.spec(guest)
        if spec is None:
            raise HostFailed("a step of the start made nothing")
        # Written before the launch: a node that dies in between must know what to remove.
        self._remember()
        self._require_lease()
        driver = dependencies.driver(guest)
        guest.process = await self._step("launch", lambda: driver.launch(spec))
        # Again, with the process: adoption identifies the guest by it.
        self._remember()
        self._post(m.Launched(self._start))

    async def _admit(self) -> None:
        # Before anything is written: a VM that does not fit stays as it was.
        order = self._guest.order
        if (problem := self._dependencies.drivers.problem(order.flavour.driver)) is not None:
            raise NodeFull(problem)
        await self._dependencies.rootfs.require_room(order, self._state.promised)
        memory = self._state.needed_mib(order)
        refusal = self._dependencies.admission.refusal(memory, self._state.promised_mib())
        if refusal is not None:
            raise NodeFull(refusal)
        # No await between check and reservation: two starts could share the last memory.
        self._guest.admitted = True
        # Likewise: two tenants could both be told to be the only one.
        tenant, merging = order.user.tenant_id, self._state.merging()
        self._guest.merges = self._dependencies.may_merge(tenant, merging)

    async def _acquire(self) -> Generation:
        try:
            generation = await self._dependencies.store.acquire(self._guest.order.vm.id)
        except AcquireUnknown as error:
            # The row may be ours: without the generation nobody would release it.
            self._post(m.Acquired(self._start, error.generation))
            raise
        self._guest.generation = generation
        self._post(m.Acquired(self._start, generation))
        return generation

    def _require_lease(self) -> None:
        # It was valid when the row was acquired; the steps since may have taken longer than that.
        if (problem := self._dependencies.lease_problem()) is not None:
            raise LeaseLost(problem)

    def _remember(self) -> None:
        record = self._guest.record(self._dependencies.boot_id)
        if record is not None:
            self._state.state_files.write(record)

    def _require_wanted(self) -> None:
        if self._unwanted:
            raise Conflict("The desktop was stopped while it was being started.")

    async def _step(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        self._require_wanted()
        started = self._dependencies.clock.monotonic_s()
        try:
            return await work()
        finally:
            self._guest.steps[name] = self._dependencies.clock.monotonic_s() - started
