"""One VM's actor: the shell around its core. A mailbox of messages, and turns.

A turn hands one message to the core and carries out the effects. What takes long runs in tasks of
the actor; they post messages and change nothing of the core's.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from qvdnode.model.errors import FarmError, Unavailable
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.guest import DISPLAY_PORT, GuestProcess
from qvdnode.model.ids import Generation, TenantId
from qvdnode.model.seat import DisplayAddress, Evicted, Progressed, Seat, Viewer
from qvdnode.model.vm_state import VmState
from qvdnode.runtime.supervise import Supervisor, contained
from qvdnode.telemetry.metrics import Counter, Histogram
from qvdnode.vm import retry
from qvdnode.vm.core import effects as e
from qvdnode.vm.core import messages as m
from qvdnode.vm.core.desktop import Desktop, Limits
from qvdnode.vm.core.guest_limits import Measured
from qvdnode.vm.dependencies import FleetDependencies, FleetState
from qvdnode.vm.display.operations import DisplayOperations
from qvdnode.vm.guest import end_cause, limit_check, teardown
from qvdnode.vm.guest.bring_up import BringUp
from qvdnode.vm.guest.hibernation import Hibernation
from qvdnode.vm.guest.row_writer import RowWriter
from qvdnode.vm.resources import GuestResources
from qvdnode.vm.settings import VmSettings
from qvdnode.vm.status import GuestStatus

log = logging.getLogger(__name__)

READY_SECONDS = Histogram(
    "qvdnode_vm_ready_seconds", "From leaving the queue to a display that listens"
)
FAILURES = Counter("qvdnode_vm_start_failures", "Starts of VMs that failed", ["code"])

LOG_LEVELS: Final = {
    e.Level.DEBUG: logging.DEBUG,
    e.Level.INFO: logging.INFO,
    e.Level.WARNING: logging.WARNING,
}


@dataclass(frozen=True, slots=True)
class Request:
    """How to reach whoever made a request."""

    answer: asyncio.Future[Any]
    viewer: Viewer | None = None
    """Gets progress and, once attached, a notice of its eviction."""


class GuestActor:
    """Owned by the fleet, which runs `run` as a task and forgets the actor when that ends."""

    def __init__(
        self, order: DesktopOrder, dependencies: FleetDependencies, state: FleetState
    ) -> None:
        self.vm_id = order.vm.id
        self.closed = False
        """Whether it takes no more messages."""
        self._dependencies = dependencies
        self._state = state
        self._mailbox: asyncio.Queue[m.Message] = asyncio.Queue()
        self._tasks = Supervisor(f"vm-{order.vm.id}")
        settings = dependencies.settings
        self._core = Desktop(order.vm.id, order, limits_of(settings), dependencies.clock.now())
        self._requests: dict[int, Request] = {}
        self._timers: dict[e.Timer, asyncio.Task[None]] = {}
        self._row = RowWriter(
            dependencies.store,
            order.vm.id,
            dependencies.clock,
            retry_s=settings.retry_s,
            post=self.post,
        )
        self._guest: GuestResources | None = None
        self._bring_up: BringUp | None = None
        self._display: DisplayOperations | None = None
        self._hibernation = Hibernation(dependencies.freezer, self._begin, self.post)

    # -- the mailbox ---------------------------------------------------------------------------

    def post(self, message: m.Message) -> None:
        """Have a message handled after those that came before."""
        self._mailbox.put_nowait(message)

    def ask(self, number: int, request: Request, message: m.Message) -> None:
        """Post a message that carries the number of a request, which is answered later."""
        self._requests[number] = request
        self.post(message)

    def adopt(
        self,
        guest: GuestResources,
        *,
        acquired: Generation | None,
        whole: bool,
        error: FarmError | None,
    ) -> None:
        """Take over a guest that an earlier process left, before anything else is posted."""
        self._guest = guest  # effects that follow from `Found` need it at once
        known = self._dependencies.drivers.absence(guest.driver) is None
        group = self._dependencies.control_group(guest) if known else None
        frozen = group is not None and self._dependencies.freezer.is_frozen(group)
        self.post(m.Found(guest.order, acquired, whole, error, frozen))

    async def run(self) -> None:
        """Handle messages until the VM is stopped or failed, and no request is open."""
        try:
            async with self._tasks:
                _ = self._tasks.isolated("row", self._row.run())
                while not self.closed:
                    await self._turn(await self._mailbox.get())
                    self.closed = self._core.idle and self._mailbox.empty()
        finally:
            self.closed = True
            # Not a turn, since nothing may be awaited any more: clients are told, and the display
            # is closed.
            for effect in self._handle(m.NodeStops()):
                with contained("vm_message_failed", vm=self.vm_id, turn="NodeStops"):
                    self._perform(effect)

    async def _turn(self, message: m.Message) -> None:
        if not await self._carry_out(message):
            # If the actor ended, its guest would run on without anything to manage it.
            await self._carry_out(m.TurnFailed())

    async def _carry_out(self, message: m.Message) -> bool:
        """Handle the message and perform each effect, whether or not others fail.

        Returns whether none failed.
        """
        effects: deque[e.Effect] | None = None
        turn, done = type(message).__name__, True
        while effects is None or effects:
            # Entered again after a failure only, for the effects that are left.
            with contained("vm_message_failed", vm=self.vm_id, turn=turn) as attempt:
                if effects is None:
                    effects = deque()
                    effects.extend(self._handle(message))
                while effects:
                    effect = effects.popleft()
                    if not isinstance(effect, e.HangUp):
                        self._perform(effect)
                    elif self._display is not None:
                        # The one thing that a turn waits for: see guest_driver.py.
                        await self._display.hang_up(effect)
            done = done and not attempt.failed
        return done

    def _handle(self, message: m.Message) -> list[e.Effect]:
        clock = self._dependencies.clock
        return self._core.handle(message, m.Moment(clock.now(), clock.monotonic_s()))

    # -- what can be read ----------------------------------------------------------------------

    async def recorded(self) -> None:
        """Return once the row says how the VM is, or when it cannot be written now."""
        with suppress(Unavailable):
            await self._row.flush()

    def status(self) -> GuestStatus:
        """How it is now."""
        core, guest = self._core, self._guest
        return GuestStatus(
            order=core.order,
            state=core.state,
            display=core.shown_display,
            since=core.since,
            queue_place=core.place,
            generation=None if guest is None else guest.generation,
            viewer=core.clients.seated is not None,
            error=None if core.error is None else str(core.error),
            end_reason=core.end_reason,
            driver=None if guest is None else guest.driver,
            address=None if guest is None or guest.port is None else str(guest.port.address.ip),
            steps={} if guest is None else dict(guest.steps),
            unused_since=core.unused_since,
            limits=() if guest is None else guest.limits.reached,
            warning="" if guest is None else self._dependencies.drivers.warning(guest.driver),
        )

    @property
    def guest(self) -> GuestResources | None:
        """What this start has on the host."""
        return self._guest

    @property
    def promised(self) -> DesktopOrder | None:
        """The order with which the guest was admitted that starts or runs; None without one."""
        return self._guest.order if self._guest is not None and self._guest.admitted else None

    def control_group(self) -> str | None:
        """The control group of the guest's processes, if it has one."""
        return self._dependencies.control_group(self._guest)

    @property
    def merging(self) -> TenantId | None:
        """The tenant of the guest, if the kernel may merge its memory."""
        return self._guest.order.user.tenant_id if self._guest and self._guest.merges else None

    def measure_limits(self) -> Measured | None:
        """What the guest has used up; None when none runs. Blocks shortly; any thread may call."""
        guest = self._guest
        return None if guest is None else limit_check.measure(self._dependencies, guest)

    def count_limits(self, measured: Measured) -> None:
        """Count what was measured, and show its user what waits to be shown."""
        if (guest := self._guest) is None or guest.process is None:
            return
        limit_check.count(self._dependencies, guest, measured)
        # A frozen guest can show nothing; its user sees the notice after the next connect.
        if guest.notices.waiting and self._core.state is not VmState.HIBERNATED:
            _ = self._begin("notice", limit_check.show_notice(self._dependencies, guest))

    # -- effects -------------------------------------------------------------------------------

    def _perform(self, effect: e.Effect) -> None:
        if isinstance(effect, e.ClientEffect):
            self._reach(effect)
        elif isinstance(effect, e.TimerEffect):
            self._set_timer(effect)
        elif isinstance(effect, e.RowEffect):
            self._row.write(effect)
        elif isinstance(effect, e.LogEffect):
            self._note(effect)
        elif isinstance(effect, e.GuestEffect):
            self._perform_on_guest(effect)
        elif self._display is not None:
            self._display.perform(effect)

    def _reach(self, effect: e.ClientEffect) -> None:
        match effect:
            case e.Tell(request=number, sentence=sentence):
                request = self._requests.get(number)
                if request is not None and request.viewer is not None:
                    self._dependencies.tell_viewer(Progressed(request.viewer, sentence))
            case e.SeatClient(client=number):
                _settle(self._requests[number].answer, self._seat(number))
            case e.Answer(request=number, result=result):
                _settle(self._requests.pop(number).answer, result)
            case e.Refuse(request=number, error=error):
                answer = self._requests.pop(number).answer
                if not answer.done():
                    answer.set_exception(error)
            case e.Evict(client=number, reason=reason):
                viewer = self._requests.pop(number).viewer
                if viewer is not None:
                    self._dependencies.tell_viewer(Evicted(viewer, reason))
            case e.DropClient(client=number):
                self._requests.pop(number, None)

    def _seat(self, ticket: int) -> Seat:
        guest = self._guest
        if guest is None or guest.port is None or guest.generation is None:
            raise AssertionError("a display listens without a guest")
        address = DisplayAddress(str(guest.port.address.ip), DISPLAY_PORT)
        node_id = self._dependencies.node_id()
        return Seat(node_id, self.vm_id, guest.generation, address, ticket)

    def _set_timer(self, effect: e.TimerEffect) -> None:
        running = self._timers.pop(effect.timer, None)
        # A timer that has fired already may have its message in the mailbox; the core knows that
        # by its serial.
        if running is not None:
            running.cancel()
        if isinstance(effect, e.ArmTimer):
            self._timers[effect.timer] = self._begin(f"timer-{effect.timer}", self._sleep(effect))

    async def _sleep(self, armed: e.ArmTimer) -> None:
        await self._dependencies.clock.sleep(armed.seconds)
        self.post(m.TimerFired(armed.timer, armed.serial))

    def _note(self, effect: e.LogEffect) -> None:
        match effect:
            case e.Log(level=level, event=event, facts=facts):
                log.log(LOG_LEVELS[level], event, extra={"vm": self.vm_id, **facts})
            case e.NoteRetry(what=what, error=error):
                retry.note(what, self.vm_id, error)
            case e.CountFailure(code=code):
                FAILURES.labels(code).inc()

    def _perform_on_guest(  # noqa: C901, PLR0912 - one case an effect
        self, effect: e.GuestEffect
    ) -> None:
        match effect:
            case e.BringUp(start=start, order=order):
                self._start_bring_up(start, GuestResources(order))
            case e.CancelBringUp():
                if self._bring_up is not None:
                    self._bring_up.cancel()
            case e.FinishBringUp():
                self._finish_bring_up(effect)
            case e.WatchGuest(start=start):
                self._watch(start)
            case e.ShutDown(params=params):
                if self._guest is not None:
                    work = teardown.shut_down(self._dependencies, self._guest, params)
                    _ = self._begin("shut-down", work)
            case e.Freeze(start=start):
                self._hibernation.begin(start, self._dependencies.control_group(self._guest))
            case e.Thaw():
                self._hibernation.end(self._dependencies.control_group(self._guest))
            case e.Kill(start=start):
                _ = self._begin("kill", self._kill(start))
            case e.Clean():
                _ = self._begin("clean", self._clean(effect))
            case e.ForgetGuest():
                self._guest = self._bring_up = self._display = None

    def _begin(self, name: str, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        return self._tasks.isolated(name, work)

    # -- the guest -----------------------------------------------------------------------------

    def _start_bring_up(self, start: int, guest: GuestResources) -> None:
        self._guest = guest
        self._bring_up = BringUp(
            self._dependencies, self._state, guest, self._row, start, self.post
        )
        _ = self._begin("bring-up", self._bring_up.run())

    def _finish_bring_up(self, finished: e.FinishBringUp) -> None:
        if self._bring_up is None or self._guest is None:
            return
        self._bring_up.finish()
        steps = self._guest.steps
        prepared = finished.listen_s is None
        if finished.listen_s is not None:
            steps["listen"] = finished.listen_s
            READY_SECONDS.observe(finished.total_s)
        facts = {f"{name}_s": round(seconds, 4) for name, seconds in steps.items()}
        log.info(
            "desktop_prepared" if prepared else "desktop_ready", extra={"vm": self.vm_id, **facts}
        )

    def _watch(self, start: int) -> None:
        guest = self._guest
        if guest is None:
            return
        self._display = DisplayOperations(
            self._dependencies, self._state, guest, start, self._tasks, self.post
        )
        if guest.process is not None:
            _ = self._begin("watch-guest", self._until_exit(start, guest, guest.process))

    async def _until_exit(self, start: int, guest: GuestResources, process: GuestProcess) -> None:
        await retry.retry(
            self._dependencies.clock,
            lambda: self._dependencies.driver(guest).wait_exit(process),
            what="exit",
            vm_id=self.vm_id,
        )
        because = await end_cause.told(self._dependencies, guest)
        self.post(m.GuestExited(start, because))

    async def _kill(self, start: int) -> None:
        # A step that runs may be making what would be removed under it.
        if self._bring_up is not None:
            await self._bring_up.ended()
        if self._guest is not None:
            await teardown.kill(self._dependencies, self._guest)
        self.post(m.NothingLeft(start))

    async def _clean(self, clean: e.Clean) -> None:
        if self._guest is not None:
            await teardown.keep_logs(
                self._dependencies, self._guest, clean.reason, failed=clean.failed
            )
            await teardown.clean(self._dependencies, self._state, self._guest)
        self.post(m.Cleaned(clean.start))


def limits_of(settings: VmSettings) -> Limits:
    """The settings that the core needs."""
    return Limits(
        boot_limit_s=settings.boot_limit_s,
        attach_limit_s=settings.attach_limit_s,
        stop_limit_s=settings.stop_limit_s,
        display_tries=settings.display_tries,
    )


def _settle(answer: asyncio.Future[Any], result: object) -> None:
    if not answer.done():
        answer.set_result(result)
