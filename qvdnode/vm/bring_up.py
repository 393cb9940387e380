"""The way of a guest from nothing to a running PID 1, as a list of steps.

What each step makes is noted in the Guest before the next begins, and wind_down.py undoes what is
noted: also after a restart of the node, which is why this is not a runtime.rollback.Rollback. A
stop never interrupts a step, since half a mount could not be noted; it takes effect between steps.
"""

# tested-by: tests/unit/vm/test_fleet.py

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from qvdnode.model.errors import (
    ClaimUnknown,
    Conflict,
    FarmError,
    GuestFailed,
    HostFailed,
    LeaseLost,
    NodeFull,
)
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import Generation
from qvdnode.vm.core.id_slots import IdSlots
from qvdnode.vm.guest import Guest
from qvdnode.vm.parts import FleetParts
from qvdnode.vm.row_writer import RowWriter
from qvdnode.vm.start_limiter import StartLimiter
from qvdnode.vm.state_file import StateFiles

T = TypeVar("T")


class Listener(Protocol):
    """Who hears how a bring-up goes: the VM's actor. No call waits."""

    def queued(self, place: int) -> None:
        """It waits in line; 1 is next."""
        ...

    def begun(self) -> None:
        """Its turn has come."""
        ...

    def launched(self) -> None:
        """The guest's PID 1 runs."""
        ...

    def failed(self, error: FarmError) -> None:
        """It is over and will not be tried again; what it made stands in the guest."""
        ...


@dataclass(frozen=True, slots=True)
class SharedParts:
    """What all VMs of a fleet share."""

    limiter: StartLimiter
    redraws: asyncio.Semaphore
    """Turns to resume a display and have it drawn."""
    slots: IdSlots
    state_files: StateFiles
    promised_mib: Callable[[], int]
    """Memory of the flavours of all guests that run or come up."""
    promised: Callable[[], Sequence[DesktopOrder]]
    """The orders of all guests that run or come up."""


class BringUp:
    """One attempt. `run` holds a turn of the limiter until `over` says how it ended."""

    def __init__(
        self,
        parts: FleetParts,
        guest: Guest,
        row: RowWriter,
        shared: SharedParts,
        listener: Listener,
    ) -> None:
        self._parts = parts
        self._guest = guest
        self._row = row
        self._shared = shared
        self._listener = listener
        self._unwanted = self._queueing = False
        self._task: asyncio.Task[object] | None = None
        self._over = asyncio.Event()
        self._ended = asyncio.Event()

    def cancel(self) -> None:
        """Nobody wants it any more: end between two steps."""
        self._unwanted = True
        self._over.set()
        if self._queueing and self._task is not None:
            self._task.cancel()

    def over(self) -> None:
        """The desktop is there: give the turn to the next."""
        self._over.set()

    async def ended(self) -> None:
        """Return when no step runs any more."""
        await self._ended.wait()

    async def run(self) -> None:
        """Bring the guest up; tells the listener how it went."""
        self._task = asyncio.current_task()
        error: FarmError | None = GuestFailed("The node made a mistake; see its log.", step="start")
        try:
            await self._in_turn()
            error = None
        except FarmError as expected:
            error = expected
        finally:
            self._ended.set()
            if error is not None:
                self._listener.failed(error)

    async def _in_turn(self) -> None:
        clock = self._parts.clock
        asked = clock.monotonic_s()
        self._require_wanted()
        self._queueing = True
        async with self._shared.limiter.turn(self._listener.queued):
            self._queueing = False
            self._guest.steps["queue"] = clock.monotonic_s() - asked
            self._listener.begun()
            await self._steps()
            self._ended.set()
            await self._over.wait()

    async def _steps(self) -> None:
        guest, parts, vm = self._guest, self._parts, self._guest.order.vm
        rules, root = parts.confinement, parts.rootfs
        await self._step("admit", self._admit)
        await self._step("row", self._row.flush)
        generation = await self._step("acquire", self._acquire)
        guest.ids = ids = self._shared.slots.take()
        guest.port = port = await self._step(
            "network", lambda: rules.reserve(vm.id, egress=guest.order.flavour.egress)
        )
        guest.root = await self._step("mount", lambda: root.mount(guest.order, generation, ids))
        await self._step("run_folder", lambda: parts.run_folders.create(vm.id, ids))
        await self._step("confine", lambda: rules.confine(port))
        spec = guest.spec(parts.settings.prefix, parts.run_folders.path(vm.id))
        if spec is None:
            raise HostFailed("a step of the start made nothing")
        self._remember()
        self._require_lease()
        guest.process = await self._step("launch", lambda: parts.driver.launch(spec))
        self._remember()
        self._listener.launched()

    async def _admit(self) -> None:
        # Before anything is written: a VM that does not fit stays as it was.
        order = self._guest.order
        await self._parts.rootfs.require_room(order, self._shared.promised)
        memory = order.flavour.memory_mib
        refusal = self._parts.admission.refuse(memory, self._shared.promised_mib())
        if refusal is not None:
            raise NodeFull(refusal)
        self._guest.admitted = True  # nothing was awaited since the look at what is promised

    async def _acquire(self) -> Generation:
        try:
            generation = await self._parts.store.acquire(self._guest.order.vm.id)
        except ClaimUnknown as error:
            self._guest.claimed = error.generation  # or nobody would release it
            raise
        self._guest.generation = self._guest.claimed = generation
        return generation

    def _require_lease(self) -> None:
        # The claim was guarded, and the steps since may have taken longer than the lease had left.
        if (because := self._parts.lease_ran_out()) is not None:
            raise LeaseLost(because)

    def _remember(self) -> None:
        record = self._guest.record(self._parts.boot_id)
        if record is not None:
            self._shared.state_files.write(record)

    def _require_wanted(self) -> None:
        if self._unwanted:
            raise Conflict("The desktop was stopped while it was being started.")

    async def _step(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        self._require_wanted()
        started = self._parts.clock.monotonic_s()
        try:
            return await work()
        finally:
            self._guest.steps[name] = self._parts.clock.monotonic_s() - started
