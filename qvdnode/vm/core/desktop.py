"""The core of one VM: takes one message, changes its state, returns effects. Pure.

It joins the guest's table (lifecycle.py), its display (display_machine.py) and the open requests
(clients.py). Only `handle` changes the state; qvdnode/vm/__init__.py describes the package.
"""

# long: the one writer of a VM's state reads as a whole; its parts have files of their own

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, assert_never

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import Conflict, FarmError, GuestFailed, TimedOut
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import Generation, VmId
from qvdnode.model.vm_state import UP, DisplayState, VmState
from qvdnode.vm.core import effects as e
from qvdnode.vm.core import lifecycle, sentences
from qvdnode.vm.core import messages as m
from qvdnode.vm.core.attach_plan import Move, next_move
from qvdnode.vm.core.clients import Clients
from qvdnode.vm.core.desktop_end import end_reason
from qvdnode.vm.core.display import DisplayPhase
from qvdnode.vm.core.display_machine import Display
from qvdnode.vm.core.effects import Effect, Level, Timer
from qvdnode.vm.core.lifecycle import Action, GuestEvent
from qvdnode.vm.core.outcomes import (
    Announced,
    Ended,
    Listens,
    NotWhole,
    Prepared,
    Refused,
    Results,
    Situation,
    StartFailed,
    Suspended,
)
from qvdnode.vm.core.timers import Timers

AT_REST: Final = frozenset({VmState.STOPPED, VmState.FAILED})
ENDING: Final = frozenset({VmState.STOPPING, VmState.KILLING, VmState.CLEANING})
COMING_UP: Final = frozenset({VmState.PREPARING, VmState.BOOTING})
ROUNDS_MAX: Final = 4
"""How often a client's time limit is renewed while its display queues for a redraw slot."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Settings that the core needs."""

    boot_limit_s: float
    attach_limit_s: float
    stop_limit_s: float
    display_tries: int


@dataclass(slots=True)
class Desktop:
    """State of one VM. Only `handle` changes it."""

    vm_id: VmId
    order: DesktopOrder
    """The newest; a guest that runs may have been admitted with an older one."""
    limits: Limits
    since: datetime
    """When `state` was entered."""
    state: VmState = VmState.STOPPED
    params: DisplayParams = field(default_factory=DisplayParams)
    """Display parameters of the client that waits or was attached last."""
    error: FarmError | None = None
    """Why the last start failed, or why the desktop ended unexpectedly."""
    end_reason: str | None = None
    """Why the last guest ended or ends; None while one is wanted."""
    place: int | None = None
    """In the queue for a start slot; 1 is next."""
    start: int = 0
    """Number of the last start, counted by this core; a message of an earlier one is stale."""
    has_guest: bool = False
    """Whether there is anything of a guest to end or to clean."""
    acquired: Generation | None = None
    """Under which generation the VM's row is this node's."""
    display: Display | None = None
    clients: Clients = field(default_factory=Clients)
    timers: Timers = field(default_factory=Timers)
    unused_since: datetime | None = None
    """Since when the guest is up, its display suspended, and nobody wants anything of it."""
    begun_s: float = 0.0
    launched_s: float = 0.0
    last_event: GuestEvent = GuestEvent.START_ASKED
    rounds: int = ROUNDS_MAX
    writes: int = 0
    """How many writes to the row were asked for."""
    written: int = 0
    """The newest of them that is done."""
    _now: m.Moment = field(init=False)
    _out: list[Effect] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        """Begin at the moment in which the state was entered."""
        self._now = m.Moment(self.since, 0.0)

    def handle(self, message: m.Message, now: m.Moment) -> list[Effect]:
        """Change the state by one message; what to do about it, in order."""
        self._now, self._out = now, []
        self._take(message)
        self._advance()
        self._note_use()
        return self._out

    @property
    def idle(self) -> bool:
        """Whether the VM is stopped or failed, all is written, and no request is open."""
        return self.state in AT_REST and self.written == self.writes and self.clients.idle

    @property
    def shown_display(self) -> DisplayState:
        """The state of the display, as others see it."""
        return DisplayState.OFF if self.display is None else self.display.shown

    # -- messages ------------------------------------------------------------------------------

    def _take(self, message: m.Message) -> None:
        if isinstance(message, m.StartMessage) and message.start != self.start:
            return
        match message:
            case m.DisplayMessage():
                self._take_of_display(message)
            case m.StartMessage():
                self._take_of_guest(message)
            case _:
                self._take_request(message)

    def _take_request(self, message: m.Request) -> None:  # noqa: C901, PLR0912, PLR0915 - one case a message
        match message:
            case m.AttachAsked():
                self._attach(message)
            case m.Withdrawn(client=client):
                self._do(self.clients.withdraw(client))
            case m.Detached(client=client):
                self._do(left := self.clients.leave(client))
                self._invalidate_display(left)
            case m.StartAsked(request=request, order=order):
                if self.state in UP:
                    self._wake()
                    self._do([e.Answer(request)])
                else:
                    self.order = order
                    self.clients.starters.append(request)
            case m.StopAsked(request=request):
                self._stop(request)
            case m.DisconnectAsked(request=request):
                was_seated = self.clients.seated is not None
                self._evict("disconnected by an administrator")
                self._do([e.Answer(request, was_seated)])
            case m.HibernateAsked(request=request):
                may = self.unused_since is not None
                self._do([e.Answer(request, may and self._step(GuestEvent.HIBERNATE_ASKED))])
            case m.DiskFilled(reason=reason, at_once=at_once):
                event = GuestEvent.FILLED_DISK if at_once else GuestEvent.FILLS_DISK
                self._step(event, GuestFailed(reason, step="disk"))
            case m.Found():
                self._adopt(message)
            case m.LeaseLost(generation=generation):
                if self.has_guest and self.acquired == generation:
                    self._log(Level.WARNING, "vm_lease_lost")
                    self._step(GuestEvent.LEASE_LOST)
            case m.RowWritten(write=write):
                self.written = write
            case m.TimerFired(timer=timer, serial=serial):
                if self.timers.take(timer, serial):
                    self._timer_fired(timer)
            case m.TurnFailed():
                self._turn_failed()
            case m.NodeStops():
                self._node_stops()
            case _:
                assert_never(message)

    def _take_of_guest(self, message: m.OfGuest) -> None:  # noqa: C901, PLR0912 - as above
        match message:
            case m.Queued(place=place):
                self.place = place
                self._do(self.clients.tell(sentences.QUEUED.format(place=place)))
            case m.ImageFetched(sentence=sentence):
                self._do(self.clients.tell(sentence))
            case m.SlotGiven():
                self.place = None
                self.begun_s = self._now.monotonic_s
                if self.state is VmState.PREPARING:
                    self._do([self.timers.arm(Timer.BOOT, self.limits.boot_limit_s)])
                self._do(self.clients.tell(sentences.STARTING))
            case m.Acquired(generation=generation):
                self.acquired = generation
            case m.Launched():
                self._step(GuestEvent.LAUNCHED)
            case m.BringUpFailed(error=error):
                self._bring_up_failed(error)
            case m.GuestExited(because=because):
                self._exited(because)
            case m.FreezeFailed(error=error):
                self._log(Level.WARNING, "not_hibernated", because=str(error))
                self._step(GuestEvent.FREEZE_FAILED)
            case m.NothingLeft():
                self._step(GuestEvent.NOTHING_LEFT)
            case m.Cleaned():
                failed = self.error is not None
                self._step(GuestEvent.CLEANED_AFTER_FAILURE if failed else GuestEvent.CLEANED)
            case _:
                assert_never(message)

    def _take_of_display(self, message: m.OfDisplay) -> None:
        if isinstance(message, m.DisplayHeard):
            if self.display is not None and message.desktop_exit is not None:
                self.display.desktop_exit = message.desktop_exit
            # An event may end the guest, which closes the display and ends the situation.
            for event in message.events:
                if self.display is not None:
                    self._act_on(self.display.hear(event, self._situation))
        elif self.display is not None:
            self._act_on(self.display.handle(message, self._situation))

    def _act_on(self, results: Results) -> None:
        for result in results:
            match result:
                case Announced(sentence=sentence):
                    self._do(self.clients.tell(sentence))
                case Listens():
                    self._step(GuestEvent.DISPLAY_LISTENS)
                case Prepared():
                    self._step(GuestEvent.PREPARED)
                case Suspended():
                    self._evict("the display was suspended")
                case Refused(error=error):
                    self._refuse(error)
                case StartFailed(error=error):
                    self._bring_up_failed(error)
                case NotWhole(error=error):
                    self._step(GuestEvent.BROKEN, error)
                case Ended(error=error):
                    self._display_ended(error)
                case _:
                    self._do([result])

    @property
    def _situation(self) -> Situation:
        wanted = self.clients.waiting is not None or self.clients.seated is not None
        return Situation(self.vm_id, self.state, self.params, self._now.monotonic_s, wanted)

    # -- requests ------------------------------------------------------------------------------

    def _attach(self, asked: m.AttachAsked) -> None:
        self.order, self.params = asked.order, asked.params
        self._do(self.clients.apply(asked.client))
        self.rounds = ROUNDS_MAX
        if self.state in COMING_UP:
            place = self.place
            where = sentences.STARTING if place is None else sentences.QUEUED.format(place=place)
            self._do([e.Tell(asked.client, where)])
        else:
            self._arm_attach()

    def _stop(self, request: int) -> None:
        self._refuse(Conflict(sentences.STOPPED))
        if self.state is VmState.STOPPED:
            self._do(self.clients.send_deferred())
            self._do([e.Answer(request)])
            return
        self.clients.stoppers.append(request)
        self._step(GuestEvent.STOP_ASKED)

    def _refuse(self, error: FarmError) -> None:
        # The error is sent once what was begun is undone, or after the time limit.
        if self.clients.refuse(error):
            self._arm_attach()

    def _evict(self, reason: str) -> None:
        self._do(evicted := self.clients.evict(reason))
        self._invalidate_display(evicted)

    def _invalidate_display(self, gone: list[Effect]) -> None:
        if gone and self.display is not None:
            self.display.invalidate()

    def _node_stops(self) -> None:
        self._evict("the node is stopping")
        self.clients.refuse(GuestFailed(sentences.NODE_STOPS, step="start"))
        self._do(self.clients.send_deferred())
        self._do(self.clients.answer_stoppers())
        self._close_display()

    # -- the next thing for who waits ----------------------------------------------------------

    def _advance(self) -> None:
        if self.state in {*UP, *AT_REST}:
            self._do(self.clients.send_deferred())
        if self.clients.starters and self.state in AT_REST:
            self._step(GuestEvent.START_ASKED)
        # Each move changes what the next one is, so this ends after three at most.
        while self.clients.waiting is not None and self._move():
            pass

    def _move(self) -> bool:
        display = self.display
        move = next_move(
            self.state,
            self.shown_display,
            seated=self.clients.seated is not None,
            busy=display is not None and display.busy,
            fits=display is not None and display.ready_for == self.params,
        )
        if move is Move.WAIT:
            return False
        if move is Move.START:
            self._do(self.timers.disarm(Timer.ATTACH))
            return self._step(GuestEvent.START_ASKED)
        if move is Move.WAKE:
            return self._wake()
        if move is Move.EVICT:
            self._do(self.clients.tell(sentences.TAKEOVER))
            self._evict("a newer connection took over")
        elif move is Move.SEAT:
            self._do(self.timers.disarm(Timer.ATTACH))
            self._do(self.clients.seat(sentences.CONNECTING.format(vm_id=self.vm_id)))
        elif display is None:
            raise AssertionError("a guest that runs has a display")
        elif move is Move.START_DISPLAY:
            self._do(self.clients.tell(sentences.SESSION_STARTS.format(vm_id=self.vm_id)))
            self._act_on(display.start(self._situation))
        elif move is Move.RESUME:
            self._do(self.clients.tell(sentences.SESSION_COMES_UP.format(vm_id=self.vm_id)))
            self._act_on(display.resume(self._situation))
        else:
            self._act_on(display.dismiss(self._situation))
        return True

    def _wake(self) -> bool:
        self.unused_since = None  # wanted again, even if by nobody who looks at it
        return self._step(GuestEvent.WAKE_ASKED)

    def _note_use(self) -> None:
        display = self.display
        if display is None or display.phase is not DisplayPhase.SUSPENDED or display.unfinished:
            rests = False
        else:
            rests = self.state in UP
        if not rests or self.clients.seated is not None or not self.clients.idle:
            self.unused_since = None
        elif self.unused_since is None:
            self.unused_since = self._now.wall

    # -- timers --------------------------------------------------------------------------------

    def _timer_fired(self, timer: Timer) -> None:
        match timer:
            case Timer.ATTACH:
                self._attach_limit_passed()
            case Timer.BOOT:
                late = TimedOut(sentences.BOOT_LIMIT.format(limit_s=self.limits.boot_limit_s))
                coming_up = self.state in COMING_UP
                self._step(GuestEvent.BRING_UP_FAILED, late if coming_up else None)
            case Timer.STOP:
                self._step(GuestEvent.LIMIT_PASSED)
            case _:
                if self.display is None:
                    raise AssertionError("a closed display has no timer")
                self._act_on(self.display.timer_fired(timer))

    def _attach_limit_passed(self) -> None:
        queued = self.display is not None and self.display.phase is DisplayPhase.QUEUED
        if self.rounds and queued:
            self.rounds -= 1
            self._do(self.clients.tell(sentences.REDRAWS))
            self._arm_attach()
            return
        if self.state not in COMING_UP:
            self._refuse(TimedOut(sentences.NOT_REACHED))
        self._do(self.clients.send_deferred())

    def _arm_attach(self) -> None:
        self._do([self.timers.arm(Timer.ATTACH, self.limits.attach_limit_s)])

    # -- the guest -----------------------------------------------------------------------------

    def _step(self, event: GuestEvent, error: FarmError | None = None) -> bool:
        """Step the table and act on the state that is entered; False if the event is ignored."""
        stepped = lifecycle.step(self.state, event)
        if stepped is None:
            return False
        was, (self.state, actions) = self.state, stepped
        self.last_event, self.since = event, self._now.wall
        facts = {"was": was.value, "state": self.state.value, "by": event.value}
        self._log(Level.INFO, "vm_state", **facts)
        if self.state in ENDING and was not in ENDING:
            self.end_reason = end_reason(event, error)
        if error is not None:
            self.error = error
            if was in COMING_UP:
                self._do([e.CountFailure(error.code)])
                self._refuse(error)
        for action in actions:
            self._act(action)
        return True

    def _act(self, action: Action) -> None:  # noqa: C901, PLR0912, PLR0915 - one case an action
        match action:
            case Action.BRING_UP:
                self.error, self.end_reason, self.acquired = None, None, None
                self.start += 1
                self.has_guest = True
                self._do([e.BringUp(self.start, self.order)])
            case Action.START_DISPLAY:
                self.launched_s = self._now.monotonic_s
                self._open_display(DisplayPhase.OFF)
                self._do(self.clients.tell(sentences.SESSION_STARTS.format(vm_id=self.vm_id)))
            case Action.CANCEL_BRING_UP:
                self.place = None
                self._do([*self.timers.disarm(Timer.BOOT), e.CancelBringUp()])
            case Action.EVICT_VIEWER:
                reasons = sentences.EVICTION_REASONS
                self._evict(reasons.get(self.last_event, "the desktop is being stopped"))
            case Action.SHUT_DOWN:
                self._do([self.timers.arm(Timer.STOP, self.limits.stop_limit_s)])
                self._do([e.ShutDown(self.params)])
            case Action.FREEZE:
                self._do([e.Freeze(self.start)])
            case Action.THAW:
                self._do([e.Thaw()])
            case Action.KILL:
                self._do(self.timers.disarm(Timer.STOP))
                self._close_display()
                self._do([e.Kill(self.start)])
            case Action.CLEAN:
                failed = self.error is not None
                self._do([e.Clean(self.start, self.end_reason or sentences.STOPPED, failed)])
            case Action.RECORD | Action.RELEASE:
                self._write(action)
            case Action.HAND_OVER:
                self._finish_bring_up()
            case Action.ANSWER:
                self._answer()
            case _:
                assert_never(action)

    def _write(self, action: Action) -> None:
        if self.acquired is not None:
            self.writes += 1
            write: Effect = e.Record(self.writes, self.acquired, self.state)
            if action is Action.RELEASE:
                error = None if self.error is None else str(self.error)
                write = e.Release(self.writes, self.acquired, self.state, error)
            self._do([write])
        if action is Action.RELEASE:
            self.acquired, self.has_guest = None, False
            self._do([e.ForgetGuest()])

    def _finish_bring_up(self) -> None:
        self._do(self.timers.disarm(Timer.BOOT))
        shown = self.last_event is GuestEvent.DISPLAY_LISTENS
        if shown or self.last_event is GuestEvent.PREPARED:  # neither adopted nor woken
            now_s = self._now.monotonic_s
            listen_s = now_s - self.launched_s if shown else None
            self._do([e.FinishBringUp(listen_s, now_s - self.begun_s)])

    def _answer(self) -> None:
        if self.state is VmState.RUNNING:
            self._do(self.clients.answer_starters())
            self._arm_attach()
        else:
            self._do(self.clients.send_deferred())
            self._do(self.clients.answer_stoppers())

    def _exited(self, because: str | None) -> None:
        error: FarmError | None = None
        if self.state is VmState.BOOTING or self.state in UP:
            booting = self.state is VmState.BOOTING
            sentence = sentences.DIED_BOOTING if booting else sentences.DIED
            if because is not None:
                sentence = sentences.DIED_BECAUSE.format(because=because)
            error = GuestFailed(sentence, step="boot" if booting else "guest")
        self._step(GuestEvent.EXITED, error)

    def _bring_up_failed(self, error: FarmError) -> None:
        self.place = None
        if self.state in COMING_UP:
            self._log(Level.WARNING, "start_failed", because=str(error))
            self._step(GuestEvent.BRING_UP_FAILED, error)

    def _turn_failed(self) -> None:
        # Nobody may lose track of a guest that runs, so it is ended.
        mistake = GuestFailed(sentences.MISTAKE, step="node")
        self._refuse(mistake)
        if self.has_guest:
            self._step(GuestEvent.BROKEN, mistake)

    def _adopt(self, found: m.Found) -> None:
        self.order, self.acquired, self.has_guest = found.order, found.acquired, True
        self.start += 1
        if not found.whole:
            self._step(GuestEvent.BROKEN, found.error)
            return
        self._step(GuestEvent.FOUND_FROZEN if found.frozen else GuestEvent.FOUND_RUNNING)
        self._open_display(DisplayPhase.UNREAD)

    # -- the display ---------------------------------------------------------------------------

    def _open_display(self, phase: DisplayPhase) -> None:
        self.display = Display(self.limits.display_tries, self.timers, phase)
        self._do([e.WatchGuest(self.start), e.FollowLog()])

    def _close_display(self) -> None:
        if self.display is not None:
            self._act_on(self.display.close())
            self.display = None

    def _display_ended(self, error: FarmError | None) -> None:
        if error is not None and self.state is VmState.BOOTING:
            self._step(GuestEvent.BRING_UP_FAILED, error)
            return
        self._evict("the desktop has ended" if error is None else "the desktop ended unexpectedly")
        self._step(GuestEvent.DISPLAY_DIED, error)

    # -- effects -------------------------------------------------------------------------------

    def _do(self, effects: Iterable[Effect]) -> None:
        self._out += effects

    def _log(self, level: Level, event: str, **facts: object) -> None:
        self._do([e.Log(level, event, facts)])
