"""One VM's way through the tables: takes events, changes state, has the effects carried out.

Called only from the actor's mailbox. What takes long runs in the actor's tasks and posts its end.
"""

# tested-by: tests/unit/vm/test_fleet.py

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import FarmError, GuestFailed, PartGone, TimedOut
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.guest import GuestSpec
from qvdnode.model.ids import Generation
from qvdnode.model.vm_state import DisplayState, VmState
from qvdnode.runtime.supervise import Supervisor, contained
from qvdnode.telemetry.metrics import Counter, Histogram
from qvdnode.vm import looking, wind_down
from qvdnode.vm.bring_up import BringUp, SharedParts
from qvdnode.vm.company import Company
from qvdnode.vm.core import lifecycle
from qvdnode.vm.core.effects import Effect
from qvdnode.vm.core.lifecycle import GuestEvent
from qvdnode.vm.display_keeper import DisplayKeeper
from qvdnode.vm.display_link import DisplayLink
from qvdnode.vm.guest import Guest
from qvdnode.vm.parts import FleetParts
from qvdnode.vm.row_writer import RowWriter
from qvdnode.vm.timers import Timer, Timers

log = logging.getLogger(__name__)

READY_SECONDS = Histogram(
    "qvdnode_vm_ready_seconds", "From leaving the queue to a display that listens"
)
FAILURES = Counter("qvdnode_vm_start_failures", "Starts of VMs that failed", ["code"])

AT_REST: Final = frozenset({VmState.STOPPED, VmState.FAILED})
COMING_UP: Final = frozenset({VmState.PREPARING, VmState.BOOTING})
PARTING: Final = {
    GuestEvent.EXITED: "the guest ended unexpectedly",
    GuestEvent.FILLS_DISK: "the desktop was filling the node's disk",
    GuestEvent.FILLED_DISK: "the desktop was filling the node's disk",
    GuestEvent.LEASE_LOST: "this node may not run the desktop any more",
    GuestEvent.BROKEN: "the node made a mistake",
}
"""What the attached client's session ends with, where nobody asked for the end."""
DIED: Final = "The guest ended unexpectedly, out of memory perhaps. A connect starts it afresh."
MISTAKE: Final = "The node made a mistake and ended the desktop; see its log."


class GuestLife:
    """State, guest and display of one VM."""

    def __init__(
        self,
        order: DesktopOrder,
        parts: FleetParts,
        shared: SharedParts,
        tasks: Supervisor,
        timers: Timers,
        company: Company,
    ) -> None:
        self.order = order
        self.wishes = DisplayParams()
        """Of the client that waits or was attached last."""
        self.state = VmState.STOPPED
        self.since = parts.clock.now()
        self.guest: Guest | None = None
        self.error: FarmError | None = None
        """Why the last start failed, or the desktop ended when nobody wanted it to."""
        self.place: int | None = None
        self._parts = parts
        self._shared = shared
        self._tasks = tasks
        self._timers = timers
        self._company = company
        self._bring_up: BringUp | None = None
        self._keeper: DisplayKeeper | None = None
        self._launched_s = self._begun_s = 0.0
        self._by = GuestEvent.START_ASKED
        """What moved it last."""
        self.row = RowWriter(
            parts.store,
            order.vm.id,
            parts.clock,
            retry_s=parts.settings.retry_s,
            lease_lost=lambda generation: company.post(partial(self._lease_lost, generation)),
            # Nothing to do but to let the actor see whether it may end.
            written=lambda: company.post(lambda: None),
        )
        self._effects = self._named_effects()

    @property
    def display(self) -> DisplayLink | None:
        """The display of the guest that runs or comes up."""
        return None if self._keeper is None else self._keeper.link

    def spec(self) -> GuestSpec | None:
        """What the driver was given for the guest that runs; None when none does."""
        if self.guest is None or self.guest.process is None:
            return None
        folder = self._parts.run_folders.path(self.order.vm.id)
        return self.guest.spec(self._parts.settings.prefix, folder)

    # -- events --------------------------------------------------------------------------------

    def happen(self, event: GuestEvent, error: FarmError | None = None) -> bool:
        """Step the table and carry out what entering the state asks for; False if ignored."""
        stepped = lifecycle.step(self.state, event)
        if stepped is None:
            return False
        was, (self.state, effects) = self.state, stepped
        self._by = event
        self.since = self._parts.clock.now()
        log.info(
            "vm_state",
            extra={
                "vm": self.order.vm.id,
                "was": was.value,
                "state": self.state.value,
                "by": event.value,
            },
        )
        if error is not None:
            self.error = error
            if was in COMING_UP:
                FAILURES.labels(error.code).inc()
                self._company.refuse(error)
        failed = [effect for effect in effects if self._fails(effect)]
        if failed:
            self.break_off()
        return True

    def break_off(self) -> None:
        """After a mistake of the node's: end what there is of the guest, so that none is left."""
        mistake = GuestFailed(MISTAKE, step="node")
        self._company.refuse(mistake)
        if self.guest is not None:
            self.happen(GuestEvent.BROKEN, mistake)

    def adopt(self, guest: Guest, *, whole: bool, error: FarmError | None) -> None:
        """Go on with a guest that an earlier process left, or end it when it is not whole.

        `error` is why, where that was not to be expected.
        """
        self.guest, self.order = guest, guest.order
        if not whole:
            self.happen(GuestEvent.BROKEN, error)
            return
        self._keeper = self._new_keeper(guest)
        self._keeper.link.assume_alive()
        self.happen(GuestEvent.FOUND_RUNNING)
        self._watch(guest)
        self._follow(guest, looking.PAUSE_S)

    def _follow(self, guest: Guest, pause_s: float) -> None:
        """Listen to the display of a guest that was found; later, while the node cannot."""
        if guest is not self.guest or self._keeper is None:
            return
        display, vm_id = self._keeper.link, self.order.vm.id
        try:
            display.follow()
        except PartGone as gone:
            log.warning("guest_not_whole", extra={"vm": vm_id, "because": str(gone)})
            self.happen(GuestEvent.BROKEN, gone)
        except looking.OWN_FAILURES as error:
            looking.note("display", vm_id, error)
            _ = self._tasks.isolated("follow-display", self._follow_later(guest, pause_s))
        else:
            if display.state is DisplayState.OFF:
                self.happen(GuestEvent.DISPLAY_DIED)

    async def _follow_later(self, guest: Guest, pause_s: float) -> None:
        await self._parts.clock.sleep(pause_s)
        self._company.post(partial(self._follow, guest, looking.next_pause_s(pause_s)))

    def timer_fired(self, timer: Timer) -> None:
        """A limit of ours has passed."""
        limit_s = self._parts.settings.boot_limit_s
        if timer is Timer.BOOT:
            late = TimedOut(f"The desktop did not come up within {limit_s:g} s.")
            self.happen(GuestEvent.BRING_UP_FAILED, late if self.state in COMING_UP else None)
        elif timer is Timer.STOP:
            self.happen(GuestEvent.LIMIT_PASSED)

    # -- Listener of the bring-up; these come from its task ------------------------------------

    def queued(self, place: int) -> None:
        """It waits in line."""

        def note() -> None:
            self.place = place
            self._company.tell(f"You are number {place} in the queue")

        self._company.post(note)

    def begun(self) -> None:
        """Its turn has come."""

        def note() -> None:
            self.place = None
            self._begun_s = self._parts.clock.monotonic_s()
            if self.state is VmState.PREPARING:
                self._timers.arm(Timer.BOOT, self._parts.settings.boot_limit_s)
            self._company.tell("Starting virtual machine")

        self._company.post(note)

    def launched(self) -> None:
        """The guest's PID 1 runs."""
        self._company.post(partial(self._post_event, GuestEvent.LAUNCHED))

    def failed(self, error: FarmError) -> None:
        """A step failed."""

        def note() -> None:
            self.place = None
            if self.state in COMING_UP:
                log.warning("start_failed", extra={"vm": self.order.vm.id, "because": str(error)})
                self.happen(GuestEvent.BRING_UP_FAILED, error)

        self._company.post(note)

    # -- effects -------------------------------------------------------------------------------

    def _named_effects(self) -> dict[Effect, Callable[[], None]]:
        return {
            Effect.BRING_UP: self._start_bring_up,
            Effect.START_DISPLAY: self._start_display,
            Effect.CANCEL_BRING_UP: self._cancel_bring_up,
            Effect.EVICT_VIEWER: self._evict,
            Effect.SHUT_DOWN: self._shut_down,
            Effect.KILL: self._kill,
            Effect.CLEAN: self._clean,
            Effect.RECORD: self._record,
            Effect.RELEASE: self._release,
            Effect.HAND_OVER: self._hand_over,
            Effect.ANSWER: self._company.answer,
        }

    def _fails(self, effect: Effect) -> bool:
        # Whether it does: the others have to be carried out all the same.
        with contained("effect_failed", vm=self.order.vm.id, effect=effect.value) as attempt:
            self._effects[effect]()
        return attempt.failed

    def _evict(self) -> None:
        self._company.evict(PARTING.get(self._by, "the desktop is being stopped"))

    def _start_bring_up(self) -> None:
        self.error = None
        self.guest = Guest(self.order)
        self._bring_up = BringUp(self._parts, self.guest, self.row, self._shared, self)
        _ = self._tasks.isolated("bring-up", self._bring_up.run())

    def _start_display(self) -> None:
        if self.guest is None:
            return
        vm_id = self.order.vm.id
        self._launched_s = self._parts.clock.monotonic_s()
        self._watch(self.guest)
        self._keeper = self._new_keeper(self.guest)
        display = self._keeper.link
        self._company.tell(f"Starting X session at VM {vm_id}")
        try:
            display.follow()
        except FarmError as error:
            self.failed(error)
            return
        display.start(self.wishes)
        self._company.tell(f"Waiting for X session to come up on VM {vm_id}")

    def _cancel_bring_up(self) -> None:
        self.place = None
        self._timers.disarm(Timer.BOOT)
        if self._bring_up is not None:
            self._bring_up.cancel()

    def _hand_over(self) -> None:
        self._timers.disarm(Timer.BOOT)
        if self._bring_up is not None:
            self._bring_up.over()
            self._tell_ready()

    def _tell_ready(self) -> None:
        if self.guest is None:
            return
        now_s = self._parts.clock.monotonic_s()
        self.guest.steps["listen"] = now_s - self._launched_s
        READY_SECONDS.observe(now_s - self._begun_s)
        steps = {f"{name}_s": round(seconds, 4) for name, seconds in self.guest.steps.items()}
        log.info("desktop_ready", extra={"vm": self.order.vm.id, **steps})

    def _shut_down(self) -> None:
        self._timers.arm(Timer.STOP, self._parts.settings.stop_limit_s)
        if self.guest is not None:
            work = wind_down.shut_down(self._parts, self.guest, self.wishes)
            _ = self._tasks.isolated("shut-down", work)

    def _kill(self) -> None:
        self._timers.disarm(Timer.STOP)
        if self._keeper is not None:
            self._keeper.link.close()
            self._keeper = None
        _ = self._tasks.isolated("kill", self._killed())

    async def _killed(self) -> None:
        if self._bring_up is not None:
            await self._bring_up.ended()
        if self.guest is not None:
            await wind_down.kill(self._parts, self.guest)
        self._company.post(partial(self._post_event, GuestEvent.NOTHING_LEFT))

    def _clean(self) -> None:
        _ = self._tasks.isolated("clean", self._cleaned())

    async def _cleaned(self) -> None:
        if self.guest is not None:
            await wind_down.clean(self._parts, self.guest, self._shared)
        event = GuestEvent.CLEANED if self.error is None else GuestEvent.CLEANED_AFTER_FAILURE
        self._company.post(partial(self._post_event, event))

    def _record(self) -> None:
        if self.guest is not None and self.guest.claimed is not None:
            self.row.record(self.guest.claimed, self.state)

    def _release(self) -> None:
        error = None if self.error is None else str(self.error)
        if self.guest is not None and self.guest.claimed is not None:
            self.row.release(self.guest.claimed, self.state, error=error)
        self.guest = self._bring_up = None

    # -- what happens to the guest -------------------------------------------------------------

    def _post_event(self, event: GuestEvent) -> None:
        self.happen(event)

    def _new_keeper(self, guest: Guest) -> DisplayKeeper:
        return DisplayKeeper(self._parts, guest, self._tasks, self._shared, self, self._company)

    def _watch(self, guest: Guest) -> None:
        if guest.process is not None:
            _ = self._tasks.isolated("watch-guest", self._until_exit(guest))

    async def _until_exit(self, guest: Guest) -> None:
        process = guest.process
        if process is not None:
            await looking.repeated(
                self._parts.clock,
                lambda: self._parts.driver.wait_exit(process),
                what="exit",
                vm_id=self.order.vm.id,
            )
        self._company.post(partial(self._exited, guest))

    def _exited(self, guest: Guest) -> None:
        if guest is self.guest:
            error: dict[VmState, FarmError] = {
                VmState.BOOTING: GuestFailed(
                    "The guest ended while it was coming up.", step="boot"
                ),
                VmState.RUNNING: GuestFailed(DIED, step="guest"),
            }
            self.happen(GuestEvent.EXITED, error.get(self.state))

    def _lease_lost(self, generation: Generation) -> None:
        if self.guest is not None and self.guest.claimed == generation:
            log.warning("vm_lease_lost", extra={"vm": self.order.vm.id})
            self.happen(GuestEvent.LEASE_LOST)
