"""One VM's actor: the only place that changes it, one message after another.

Every message is a call that does not wait. What takes long runs in tasks of the actor's own and
comes back as a message; timers do too, and are ignored when they are stale. Which state follows
which is in core/lifecycle.py, what the waiting client gets next in core/attach_plan.py.
"""

# tested-by: tests/unit/vm/test_fleet.py

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from qvdnode.model.errors import Conflict, FarmError, GuestFailed, TimedOut, Unavailable
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.guest import GuestSpec
from qvdnode.model.seat import DisplayAddress, Progress
from qvdnode.model.vm_state import DisplayState, VmState
from qvdnode.runtime.supervise import Supervisor, contained
from qvdnode.vm.bring_up import SharedParts
from qvdnode.vm.core.attach_plan import Move, next_move
from qvdnode.vm.core.lifecycle import GuestEvent
from qvdnode.vm.guest import Guest
from qvdnode.vm.guest_life import AT_REST, COMING_UP, GuestLife
from qvdnode.vm.parts import FleetParts
from qvdnode.vm.seating import Applicant, Seating
from qvdnode.vm.status import GuestStatus
from qvdnode.vm.timers import Timer, Timers

ROUNDS_MAX: Final = 4
"""How often a client's limit is set anew while its display waits for others to be drawn."""


class GuestActor:
    """Owned by the fleet, which runs `run` as a task and forgets the actor when that ends."""

    def __init__(self, order: DesktopOrder, parts: FleetParts, shared: SharedParts) -> None:
        self.vm_id = order.vm.id
        self.closed = False
        """Whether it takes no more messages."""
        self._settings = parts.settings
        self._mailbox: asyncio.Queue[Callable[[], None]] = asyncio.Queue()
        self._tasks = Supervisor(f"vm-{order.vm.id}")
        self._timers = Timers(parts.clock, self._tasks, self._ring)
        self._seating = Seating(order.vm.id)
        self._life = GuestLife(order, parts, shared, self._tasks, self._timers, self)
        self._starters: list[tuple[asyncio.Future[None], Progress]] = []
        self._stoppers: list[asyncio.Future[None]] = []
        self._bad_news: list[Callable[[], None]] = []
        """Answers that wait until what was begun has been undone."""
        self._rounds = ROUNDS_MAX

    # -- the mailbox ---------------------------------------------------------------------------

    def post(self, message: Callable[[], None]) -> None:
        """Have a message handled after those that came before."""
        self._mailbox.put_nowait(message)

    async def run(self) -> None:
        """Handle messages until the VM is at rest and nobody wants anything of it."""
        try:
            async with self._tasks:
                _ = self._tasks.isolated("row", self._life.row.run())
                while not self.closed:
                    self._handle(await self._mailbox.get())
                    self.closed = self._is_idle()
        finally:
            self.closed = True
            self._abandon()

    def _handle(self, message: Callable[[], None]) -> None:
        # An actor that ended by a mistake would leave its guest running, known to nobody.
        with contained("vm_message_failed", vm=self.vm_id) as attempt:
            message()
            self._advance()
        if attempt.failed:
            self._life.break_off()

    def _is_idle(self) -> bool:
        life = self._life
        wanted = self._seating.waiting or self._starters or self._stoppers or self._bad_news
        at_rest = life.state in AT_REST and life.row.idle
        return at_rest and not wanted and self._mailbox.empty()

    def _abandon(self) -> None:
        self.evict("the node is stopping")
        self.refuse(GuestFailed("The node let go of this desktop; try again.", step="start"))
        self._break_news()
        for future in self._stoppers:
            _settle(future)
        if self._life.display is not None:
            self._life.display.close()

    # -- what can be asked ---------------------------------------------------------------------

    def attach(self, applicant: Applicant) -> None:
        """A client wants the display."""
        self._life.order = applicant.order
        self._life.wishes = applicant.params
        self._seating.apply(applicant)
        self._rounds = ROUNDS_MAX
        if self._life.state in COMING_UP:
            place = self._life.place
            where = f"You are number {place} in the queue" if place else "Starting virtual machine"
            applicant.progress(where)
        else:
            self._timers.arm(Timer.ATTACH, self._settings.attach_limit_s)

    def withdraw(self, applicant: Applicant) -> None:
        """It does not want it any more."""
        self._seating.withdraw(applicant)

    def detach(self, ticket: int) -> None:
        """Its stream has ended; one that is not attached any more is of no interest."""
        if self._seating.leave(ticket):
            self._doubt_display()

    def start(self, order: DesktopOrder, progress: Progress, answer: asyncio.Future[None]) -> None:
        """Somebody wants the VM to run, without a display for themselves."""
        if self._life.state is VmState.RUNNING:
            _settle(answer)
            return
        self._life.order = order
        self._starters.append((answer, progress))

    def stop(self, answer: asyncio.Future[None]) -> None:
        """Somebody wants the VM to stop; whoever waits for it to start is told so."""
        self.refuse(Conflict("The desktop was stopped."))
        if self._life.state is VmState.STOPPED:
            self._break_news()
            _settle(answer)
            return
        self._stoppers.append(answer)
        self._life.happen(GuestEvent.STOP_ASKED)

    def end_for_disk(self, because: str, *, at_once: bool) -> None:
        """It writes too much: end it, for that reason, before it takes from others."""
        event = GuestEvent.FILLED_DISK if at_once else GuestEvent.FILLS_DISK
        self._life.happen(event, GuestFailed(because, step="disk"))

    async def recorded(self) -> None:
        """Return once the row says how the VM is, or when it cannot be written now."""
        with suppress(Unavailable):
            await self._life.row.flush()

    def disconnect(self, answer: asyncio.Future[bool]) -> None:
        """Close the attached client's stream; the display suspends itself."""
        was_seated = self._seating.seated
        self.evict("disconnected by an administrator")
        if not answer.done():
            answer.set_result(was_seated)

    def found(self, guest: Guest, *, whole: bool, error: FarmError | None) -> None:
        """An earlier process of this node left this guest, fit to go on with when `whole`."""
        self._life.adopt(guest, whole=whole, error=error)

    def status(self) -> GuestStatus:
        """How it is now."""
        life, guest = self._life, self._life.guest
        return GuestStatus(
            order=life.order,
            state=life.state,
            display=self._display,
            since=life.since,
            queue_place=life.place,
            generation=None if guest is None else guest.generation,
            viewer=self._seating.seated,
            error=None if life.error is None else str(life.error),
            address=None if guest is None or guest.port is None else str(guest.port.address.ip),
            steps={} if guest is None else dict(guest.steps),
        )

    def spec(self) -> GuestSpec | None:
        """What the driver was given for the guest that runs; None when none does."""
        return self._life.spec()

    @property
    def promised(self) -> DesktopOrder | None:
        """With what the guest was let in that runs or comes up."""
        guest = self._life.guest
        return guest.order if guest is not None and guest.admitted else None

    # -- company of the guest's life -----------------------------------------------------------

    def tell(self, sentence: str) -> None:
        """Show whoever waits what is going on."""
        self._seating.tell(sentence)
        for _, progress in self._starters:
            progress(sentence)

    def evict(self, reason: str) -> None:
        """Close the stream of the attached client, if there is one."""
        if self._seating.evict(reason):
            self._doubt_display()

    def refuse(self, error: FarmError) -> None:
        """Whoever waits now will not get it; they hear so once what was begun is undone."""
        waiting, self._seating.waiting = self._seating.waiting, None
        futures: list[asyncio.Future[None]] = [future for future, _ in self._starters]
        self._starters.clear()
        if waiting is not None:
            self._bad_news.append(partial(_fail, waiting.answer, error))
        self._bad_news += [partial(_fail, future, error) for future in futures]
        if self._bad_news:
            self._timers.arm(Timer.ATTACH, self._settings.attach_limit_s)

    def answer(self) -> None:
        """Answer those who waited for the state that was entered."""
        if self._life.state is VmState.RUNNING:
            for future, _ in self._starters:
                _settle(future)
            self._starters.clear()
            self._timers.arm(Timer.ATTACH, self._settings.attach_limit_s)
            return
        self._break_news()
        for future in self._stoppers:
            _settle(future)
        self._stoppers.clear()

    # -- the next thing for who waits ----------------------------------------------------------

    def _advance(self) -> None:
        if self._life.state in {VmState.RUNNING, *AT_REST}:
            self._break_news()
        if self._starters and self._life.state in AT_REST:
            self._life.happen(GuestEvent.START_ASKED)
        # Each move changes what the next one is, so this ends after two at most.
        while self._seating.waiting is not None and self._move():
            pass

    def _move(self) -> bool:
        life = self._life
        move = next_move(
            life.state,
            self._display,
            seated=self._seating.seated,
            busy=self._is_busy(),
            fits=life.display is not None and life.display.ready_for == life.wishes,
        )
        match move:
            case Move.WAIT:
                return False
            case Move.START:
                self._timers.disarm(Timer.ATTACH)
                return life.happen(GuestEvent.START_ASKED)
            case Move.EVICT:
                self.tell("Closing the session of another client")
                self.evict("a newer connection took over")
            case Move.RESUME:
                self.tell(f"Waiting for X session to come up on VM {self.vm_id}")
                if life.display is not None:
                    life.display.resume(lambda: life.wishes)
            case Move.DISMISS:
                if life.display is not None:
                    life.display.dismiss()
            case Move.SEAT:
                self._seat()
        return True

    def _seat(self) -> None:
        guest = self._life.guest
        if guest is None or guest.port is None or guest.generation is None:
            raise AssertionError("a display listens without a guest")
        self._timers.disarm(Timer.ATTACH)
        address = DisplayAddress(str(guest.port.address.ip), self._settings.display_port)
        self._seating.seat(guest.generation, address)

    @property
    def _display(self) -> DisplayState:
        display = self._life.display
        return DisplayState.OFF if display is None else display.state

    def _is_busy(self) -> bool:
        display = self._life.display
        return display is not None and display.busy

    def _doubt_display(self) -> None:
        # The client that went may have reached the display, which says so only once it has drawn
        # its desktop: until then it looks as if it listened, and nobody can dial it.
        if self._life.display is not None and self._display is DisplayState.LISTENING:
            self._life.display.ready_for = None

    def _ring(self, timer: Timer, serial: int) -> None:
        self.post(partial(self._timer_fired, timer, serial))

    def _timer_fired(self, timer: Timer, serial: int) -> None:
        if not self._timers.take(timer, serial):
            return
        if timer is Timer.ATTACH:
            if self._rounds and self._life.display is not None and self._life.display.queued:
                self._rounds -= 1
                self.tell("Waiting for other desktops to be drawn")
                self._timers.arm(Timer.ATTACH, self._settings.attach_limit_s)
                return
            if self._life.state not in COMING_UP:
                self.refuse(TimedOut("The desktop could not be reached in time; try again."))
            self._break_news()
        else:
            self._life.timer_fired(timer)

    def _break_news(self) -> None:
        news, self._bad_news = self._bad_news, []
        for tell in news:
            tell()


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _fail(future: asyncio.Future[Any], error: FarmError) -> None:
    if not future.done():
        future.set_exception(error)
