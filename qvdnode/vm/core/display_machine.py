"""One display of one start: takes messages, steps the table in display.py. Pure.

It returns effects for the shell, and outcomes for the core of its VM (outcomes.py).
"""

from dataclasses import dataclass
from typing import Final, assert_never

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import FarmError, GuestFailed
from qvdnode.model.vm_state import UP, DisplayState, VmState
from qvdnode.vm.core import display, sentences
from qvdnode.vm.core import messages as m
from qvdnode.vm.core.desktop_end import CANNOT_RUN, program_failure
from qvdnode.vm.core.display import SHOWN_AS, DisplayEvent, DisplayPhase
from qvdnode.vm.core.effects import (
    CloseDisplay,
    Dismiss,
    EndRedraw,
    FindProcess,
    FollowLog,
    HangUp,
    Level,
    Log,
    LogLostDesktop,
    NoteRetry,
    PrepareResume,
    QueueRedraw,
    RunStart,
    Timer,
    TrimLog,
    WatchProcess,
)
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

E = DisplayEvent
P = DisplayPhase

PATIENCE_S: Final = 10.0
"""A display that listened longer than this works; nxagent itself gives up after a minute."""
REDRAW_S: Final = 1.0
"""How long a display may hold its redraw slot: for its script, and again to be drawn."""
HANGUP_S: Final = 0.12
"""Before the first repeat of SIGHUP: more than twice the 50 ms for which nxagent ignores it."""
HANGUPS_MAX: Final = 6
"""How often SIGHUP is repeated; each pause is twice as long as the one before."""
PID_S: Final = 0.1
"""Between two reads of a pid that is not there yet: the guest writes it soon after the start."""
FOLLOW_S: Final = 0.1
FOLLOW_MAX_S: Final = 10.0
"""First and longest pause between two attempts to read the log of an adopted display."""

MAY_HOLD_SLOT: Final = frozenset({P.PREPARING, P.TOGGLED, P.STARTING, P.LISTENING, P.DISMISSING})
"""In every other phase its desktop is drawn already, or will not be drawn now."""


@dataclass(slots=True)
class Display:
    """State of one display. Every method returns the effects of what it did."""

    tries_max: int
    timers: Timers
    phase: DisplayPhase = P.OFF
    tries: int = 0
    """How often it was started in a row without having listened for long."""
    run: int = 0
    """Number of the last start of its program."""
    watched: int | None = None
    """Guest pid of the process that is watched."""
    ever_connected: bool = False
    connected_s: float | None = None
    """When this process saw its first client; None for an adopted one that had it before."""
    desktop_exit: int | None = None
    """Exit code of the desktop's program, as the guest noted it."""
    crashed: bool = False
    ready_for: DisplayParams | None = None
    """The parameters it was started or resumed with; None when they are not known, or when
    somebody may have dialled it since."""
    prepared_for: DisplayParams | None = None
    """The parameters that were written for the resume under way."""
    unfinished: int = 0
    """How many scripts and dismissals have not ended."""
    slot_serial: int = 0
    has_slot: bool = False
    hangups: int = 0
    """How often SIGHUP was repeated."""
    listening_since_s: float = 0.0
    follow_pause_s: float = FOLLOW_S

    @property
    def shown(self) -> DisplayState:
        """The state that others see."""
        return SHOWN_AS[self.phase]

    @property
    def busy(self) -> bool:
        """Whether it is being started, resumed or dismissed."""
        return self.unfinished > 0 or self.phase in {P.QUEUED, P.PREPARING, P.DISMISSING}

    def handle(  # noqa: C901, PLR0911, PLR0912 - one case a message
        self, message: m.OfDisplayTask, now: Situation
    ) -> Results:
        """Handle a message of one of the display's tasks; `hear` handles its log."""
        match message:
            case m.LogFollowed(history=history):
                return self._followed(history, now)
            case m.LogNotFollowed(error=error, gone=gone):
                return self._not_followed(error, now, gone=gone)
            case m.HangUpMissed():
                return self.hear(E.GONE, now)
            case m.DisplayProcessGone(pid=pid, desktop_exit=desktop_exit):
                # Another process is watched by now, or none because the log reported the end.
                if pid != self.watched:
                    return []
                self.desktop_exit = desktop_exit
                return self.hear(E.GONE, now)
            case m.StartScriptEnded():
                return self._started(message)
            case m.ResumePrepared(params=params):
                return self._prepared(params, now)
            case m.RedrawSlotGiven(serial=serial):
                return self._slot_given(serial, now)
            case m.DisplayDismissed():
                self.unfinished -= 1
                return []
            case m.DisplayTaskFailed(what=what, error=error):
                self.unfinished -= 1
                return self._failed(what, error, now)
            case m.HangUpFailed(again=again, error=error):
                # A repeat that fails changes nothing: the timer brings the next one.
                return [] if again else self._failed("resume", error, now)
            case m.ProcessFound(run=run, pid=pid):
                return self._process_found(run, pid)
            case _:
                assert_never(message)

    def close(self) -> Results:
        """End: its guest is being killed, or the node's process ends."""
        running = (Timer.REDRAW, Timer.HANGUP, Timer.PROCESS, Timer.FOLLOW)
        disarmed = [effect for timer in running for effect in self.timers.disarm(timer)]
        return [*disarmed, CloseDisplay()]

    def timer_fired(self, timer: Timer) -> Results:
        """One of the display's own timers has run out."""
        match timer:
            case Timer.REDRAW:
                return self._end_redraw()
            case Timer.HANGUP:
                return self._hang_up_again()
            case Timer.PROCESS:
                return [] if self.watched is not None else self._find_process()
            case _:
                return [FollowLog()] if self.phase is P.UNREAD else []

    # -- its log and its process ---------------------------------------------------------------

    def _followed(self, history: tuple[DisplayEvent, ...], now: Situation) -> Results:
        self.phase, self.ever_connected = display.replay(history)
        if now.guest is VmState.BOOTING:
            if not now.wanted:
                return [Prepared()]
            comes_up = Announced(sentences.SESSION_COMES_UP.format(vm_id=now.vm_id))
            return [*self.start(now), comes_up]
        if self.phase is not P.OFF:
            return [FindProcess(self.run)]
        # One without a client yet is prepared, or gave up its wait; nothing is lost.
        return [Ended(None)] if self.ever_connected else []

    def _not_followed(self, error: FarmError, now: Situation, *, gone: bool) -> Results:
        if now.guest is VmState.BOOTING:
            return [StartFailed(error)]
        if gone:
            return [Log(Level.WARNING, "guest_not_whole", {"because": str(error)}), NotWhole(error)]
        pause_s = self.follow_pause_s
        self.follow_pause_s = min(FOLLOW_MAX_S, 2 * pause_s)
        return [NoteRetry("display", error), self.timers.arm(Timer.FOLLOW, pause_s)]

    def hear(self, event: DisplayEvent, now: Situation) -> Results:
        """Handle an event of the log, or the end of the process."""
        was, results = self.phase, self._take(event, now.now_s)
        if self.phase is was:
            return results
        if self.phase is P.LISTENING:
            return [*results, Listens()]
        if self.phase is P.SUSPENDED:
            return [*results, Suspended()]
        if self.phase is P.OFF and now.guest in {VmState.BOOTING, *UP}:
            return [*results, *self._gone(now)]
        return results

    def _gone(self, now: Situation) -> Results:
        if (sentence := self._failure(now)) is not None:
            return self._give_up(GuestFailed(sentence, step="display"), now)
        if self.ever_connected:
            ended = Log(Level.INFO, "desktop_ended", {})
            return [ended, *self._take(E.GIVEN_UP, now.now_s), Ended(None)]
        if now.unvisited:  # nxagent waits for a minute; the next client starts it
            return [Log(Level.INFO, "display_gave_up_waiting", {})]
        # nxagent ends when its first client fails the greeting; nothing is lost by then.
        restarted = Log(Level.WARNING, "display_restarted", {"tries": self.tries})
        return [restarted, *self.start(now)]

    def _failure(self, now: Situation) -> str | None:
        """Why the desktop is lost; None after a logout, or where its display starts again."""
        if not self.ever_connected:
            # If the program is missing, the display ends before it logs its first client.
            if self.desktop_exit in CANNOT_RUN:
                return program_failure(self.desktop_exit, 0.0)
            return None if now.unvisited or self.tries < self.tries_max else sentences.NEVER_SHOWN
        if now.guest is VmState.BOOTING:
            return sentences.NEVER_SHOWN
        if self.crashed:
            return sentences.CRASHED
        lasted_s = None if self.connected_s is None else now.now_s - self.connected_s
        return program_failure(self.desktop_exit, lasted_s)

    def _give_up(self, error: FarmError, now: Situation) -> Results:
        return [LogLostDesktop(str(error)), *self._take(E.GIVEN_UP, now.now_s), Ended(error)]

    def _take(self, event: DisplayEvent, now_s: float) -> Results:
        effects: Results = []
        if event is E.BEGINS and self.watched is None:
            effects.append(FindProcess(self.run))
        was, target = self.phase, display.step(self.phase, event)
        if target is None:
            return effects
        self.phase = target
        if SHOWN_AS[was] is not self.shown:
            facts = {"state": self.shown.value}
            effects.append(Log(Level.DEBUG, "display_state", facts))
        self._note_patience(was, now_s)
        if event in {E.CONNECTED, E.SUSPENDED}:
            if not self.ever_connected and event is E.CONNECTED:
                self.connected_s = now_s
            self.ever_connected = True
        return [*effects, *self._left(was), *self._entered(event, was)]

    def _note_patience(self, was: DisplayPhase, now_s: float) -> None:
        listens = {P.LISTENING, P.DISMISSING}
        if was in listens and self.phase not in listens:
            if now_s - self.listening_since_s > PATIENCE_S:
                # It ended because no client came: that is not a failed try.
                self.tries = 0
        elif was not in listens and self.phase is P.LISTENING:
            self.listening_since_s = now_s

    def _left(self, was: DisplayPhase) -> Results:
        effects: Results = []
        if was is P.TOGGLED:
            effects += self.timers.disarm(Timer.HANGUP)
        unqueued = was is P.QUEUED and self.phase is not P.PREPARING
        if unqueued or (self.has_slot and self.phase not in MAY_HOLD_SLOT):
            effects += self._end_redraw()
        return effects

    def _entered(self, event: DisplayEvent, was: DisplayPhase) -> Results:
        if self.phase in {P.LISTENING, P.CONNECTED}:
            return [FindProcess(self.run)]
        if self.phase is P.OFF:
            self.watched = None
            # A display that ends in order says so first.
            self.crashed = was is not P.STOPPING
        return [TrimLog()] if event is E.SUSPENDED else []

    def _find_process(self) -> Results:
        # Repeated until its pid is known or the log speaks: a display that ends before its first
        # log line is noticed by its process alone.
        if self.phase is not P.STARTING:
            return []
        return [FindProcess(self.run), self.timers.arm(Timer.PROCESS, PID_S)]

    def _process_found(self, run: int, pid: int) -> Results:
        # A pid that was read for an earlier run of the program names a process that ends.
        stale = run != self.run or self.phase in {P.OFF, P.GIVEN_UP}
        if stale or pid == self.watched:
            return []
        self.watched = pid
        return [*self.timers.disarm(Timer.PROCESS), WatchProcess(pid)]

    # -- start ---------------------------------------------------------------------------------

    def start(self, now: Situation) -> Results:
        """Run the session script's `start`; the log reports the effect."""
        self.tries += 1
        self.run += 1
        self.unfinished += 1
        self.desktop_exit = None
        # Until the script has ended, the run folder may name the process of the run before.
        late = self.timers.disarm(Timer.PROCESS)
        return [*late, *self._take(E.START_ASKED, now.now_s), RunStart(self.run, now.params)]

    def _started(self, ended: m.StartScriptEnded) -> Results:
        self.unfinished -= 1
        if ended.run != self.run:
            return []
        # One that ran already may be ready for anybody.
        self.ready_for = None if ended.ran_already else ended.params
        return self._find_process()

    # -- resume --------------------------------------------------------------------------------

    def resume(self, now: Situation) -> Results:
        """Queue for a redraw slot; only a suspended display can be resumed."""
        self.prepared_for = None
        return [*self._take(E.RESUME_ASKED, now.now_s), *self._queue_redraw()]

    def _queue_redraw(self) -> Results:
        self.slot_serial += 1
        self.has_slot = False
        return [*self.timers.disarm(Timer.REDRAW), QueueRedraw(self.slot_serial)]

    def _slot_given(self, serial: int, now: Situation) -> Results:
        if serial != self.slot_serial or self.phase is not P.QUEUED:
            return []
        self.has_slot = True
        limit = self.timers.arm(Timer.REDRAW, REDRAW_S)
        results = [*self._take(E.SLOT_GIVEN, now.now_s), limit]
        if self.prepared_for == now.params:
            return [*results, *self._toggle(now)]
        self.prepared_for = now.params
        self.unfinished += 1
        return [*results, PrepareResume(now.params)]

    def _prepared(self, params: DisplayParams, now: Situation) -> Results:
        self.unfinished -= 1
        if self.phase is not P.PREPARING:
            return []
        if self.has_slot and params == now.params:
            return self._toggle(now)
        return [*self._take(E.SLOT_LOST, now.now_s), *self._queue_redraw()]

    def _toggle(self, now: Situation) -> Results:
        self.ready_for = now.params
        self.hangups = 0
        return [
            *self._take(E.PREPARED, now.now_s),
            self.timers.arm(Timer.REDRAW, REDRAW_S),
            HangUp(again=False),
            self.timers.arm(Timer.HANGUP, HANGUP_S),
        ]

    def _hang_up_again(self) -> Results:
        if self.phase is not P.TOGGLED:
            return []
        self.hangups += 1
        results: Results = [HangUp(again=True)]
        if self.hangups < HANGUPS_MAX:
            results.append(self.timers.arm(Timer.HANGUP, HANGUP_S * 2**self.hangups))
        return results

    def _end_redraw(self) -> Results:
        # A slot that is given in this moment is stale by its serial.
        self.slot_serial += 1
        self.has_slot = False
        return [*self.timers.disarm(Timer.REDRAW), EndRedraw()]

    # -- dismissal -----------------------------------------------------------------------------

    def dismiss(self, now: Situation) -> Results:
        """Make a listening display suspend itself, or end.

        It reads its options before it listens. One that never had a client ends and is started
        again; nothing is lost, since no program comes up on it before its first client.
        """
        self.tries = 0
        self.unfinished += 1
        return [*self._take(E.DISMISS_ASKED, now.now_s), Dismiss()]

    def invalidate(self) -> None:
        """A client left. It may have dialled: that is in the log only once its desktop is drawn.

        Until then the display seems to listen, but nobody else can dial it.
        """
        if self.shown is DisplayState.LISTENING:
            self.ready_for = None

    # -- failures ------------------------------------------------------------------------------

    def _failed(self, what: str, error: FarmError, now: Situation) -> Results:
        back = {"resume": E.RESUME_FAILED, "dismiss": E.DISMISS_FAILED}.get(what)
        facts = {"what": what, "because": str(error)}
        results: Results = [Log(Level.WARNING, "display_failed", facts)]
        if back is not None:
            results += self._take(back, now.now_s)
        down = self.shown in {DisplayState.OFF, DisplayState.STARTING}
        if now.guest is VmState.BOOTING or (what == "start" and down):
            return [*results, *self._give_up(error, now)]
        return [*results, Refused(error)]
