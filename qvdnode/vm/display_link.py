"""One guest's display as the actor sees it: its state, its log, its process, and how to move it."""

# tested-by: tests/unit/vm/test_fleet.py

import contextlib
import hashlib
import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import FarmError, GuestFailed
from qvdnode.model.guest import GuestSpec
from qvdnode.model.vm_state import DisplayState
from qvdnode.runtime.supervise import Supervisor
from qvdnode.vm import looking, session_script
from qvdnode.vm.bring_up import SharedParts
from qvdnode.vm.core import display
from qvdnode.vm.core.display import DisplayEvent
from qvdnode.vm.guest import Guest
from qvdnode.vm.parts import FleetParts
from qvdnode.vm.turn import Turn

if TYPE_CHECKING:
    import asyncio

log = logging.getLogger(__name__)

LAST_WORDS_S: Final = 0.1
"""Longer than the log may be left unread, see host.inotify.REST_S."""
PATIENCE_S: Final = 10.0
"""A display that listened longer than this is sound; nxagent itself gives up after a minute."""
ALREADY_RUNNING: Final = 4
"""Exit code of the session script's `start`."""
LASTING: Final = 6
"""Of its `resume`: done, and not to be run again while the parameters stay the same."""
TURN_S: Final = 1.0
"""How long a display may keep others from their turn, with its script and then to be drawn."""
HEARD_S: Final = 0.12
"""nxagent rests 50 ms after each stir of a suspended desktop, and loses a SIGHUP meanwhile. Twice
that, and twice as long each time: one too many would take a resume back."""
HANGUPS_MAX: Final = 6
LAST_WORDS_MAX: Final = 2000
"""Characters of its logs that are kept when a display is lost; the logs go with the guest."""
PID_S: Final = 0.1
"""Between looks for the pid of a display that was started: the guest notes it a moment later."""


@dataclass(frozen=True, slots=True)
class DisplayNews:
    """Where a display's news go: each posts to the actor's mailbox."""

    heard: Callable[[Sequence[DisplayEvent]], None]
    ended: Callable[[int], None]
    """The process of that guest pid is gone."""
    tried: Callable[[str, FarmError | None], None]
    """Something that it was to do (`start`, `resume`, `dismiss`) is tried, or failed."""


class DisplayLink:
    """Belongs to one start of one VM."""

    def __init__(
        self,
        parts: FleetParts,
        guest: Guest,
        tasks: Supervisor,
        shared: SharedParts,
        news: DisplayNews,
    ) -> None:
        self._parts = parts
        self._guest = guest
        self._tasks = tasks
        self._shared = shared
        self._news = news
        self._vm_id = guest.order.vm.id
        self._unfollow: Callable[[], None] | None = None
        self.closed = False
        """Whether nobody listens to it any more."""
        self.watched: int | None = None
        """Guest pid of the display that runs."""
        self.state = DisplayState.OFF
        self.ever_connected = False
        self.crashed = False
        """Whether it is gone without having said that it ends."""
        self.tries = 0
        """How often it was started in a row, see VmSettings.display_tries."""
        self._listening_s = 0.0
        self.ready_for: DisplayParams | None = None
        """The wishes it was last started or resumed with; None when that is not known, or when
        somebody may have dialled it since."""
        self.queued = False
        """Whether it waits for its turn to be resumed."""
        self._trying = 0
        """How much of what it was asked to do is not known to have ended."""
        self._dismissed = self._begun = False
        self._turn = Turn(shared.redraws)
        self._turn_limit: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether it is being started or resumed, or made to let go of whom it waits for."""
        return self._trying > 0 or self._dismissed

    def follow(self) -> None:
        """Begin to listen; what an adopted display said before counts as history."""
        history: list[DisplayEvent] = []
        live = False

        def hear(events: Sequence[DisplayEvent]) -> None:
            if live:
                self._news.heard(events)
            else:
                history.extend(events)

        self._unfollow = self._parts.run_folders.follow(self._vm_id, hear)
        live = True
        self.state, self.ever_connected = display.replay(history)
        self._watch_process()

    def assume_alive(self) -> None:
        """Until it can be followed: its guest was found, so it is more than likely there."""
        self.state = DisplayState.STARTING

    def close(self) -> None:
        """Stop listening, for good."""
        self.closed = True
        self._turn.end()
        if self._unfollow is not None:
            self._unfollow()
            self._unfollow = None

    def take(self, event: DisplayEvent) -> bool:
        """Step the table; whether the state changed."""
        if event is DisplayEvent.BEGINS:
            self._begun = True
            if self.watched is None:
                self._watch_process()
        target = display.step(self.state, event)
        if target is None:
            return False
        log.debug("display_state", extra={"vm": self._vm_id, "state": target.value})
        now_s = self._parts.clock.monotonic_s()
        if self.state is DisplayState.LISTENING and now_s - self._listening_s > PATIENCE_S:
            # It gave up because nobody came, not because something is wrong with it.
            self.tries = 0
        if target is DisplayState.LISTENING:
            self._listening_s = now_s
        self.crashed = event is DisplayEvent.GONE and self.state is not DisplayState.STOPPING
        self.state = target
        self._dismissed = self._dismissed and target is DisplayState.LISTENING
        came = event in {DisplayEvent.CONNECTED, DisplayEvent.SUSPENDED}
        self.ever_connected = self.ever_connected or came
        if target not in {DisplayState.STARTING, DisplayState.LISTENING}:
            self._turn.end()
        if target in {DisplayState.LISTENING, DisplayState.CONNECTED}:
            self._watch_process()
        if target is DisplayState.OFF:
            self.watched = None
        if target is DisplayState.SUSPENDED:
            self._trim_log()
        return True

    def last_words(self) -> str:
        """The end of the guest's logs, for whoever asks later why its display is gone."""
        try:
            return self._parts.run_folders.log_tail(self._vm_id)[-LAST_WORDS_MAX:]
        except FarmError as error:
            return f"(unreadable: {error})"

    def heard_of_try(self) -> None:
        """The actor has taken the news that something is tried."""
        self._trying -= 1

    def start(self, wishes: DisplayParams) -> None:
        """Run the session script's `start`; the log tells the rest."""
        self.tries += 1
        self.take(DisplayEvent.START_ASKED)
        self._trying += 1
        _ = self._tasks.isolated("start-display", self._start(wishes))

    def resume(self, newest: Callable[[], DisplayParams]) -> None:
        """Run the session script's `resume`, then toggle; only a suspended display may be.

        `newest` gives the wishes of the client that waits now. Displays take turns until their
        client sees the desktop: when more redraw than there are cores, nxagent now and then keeps
        its last requests back until a pause of 5 s is over.
        """
        self._trying += 1
        _ = self._tasks.isolated("resume-display", self._resume(newest))

    def dismiss(self) -> None:
        """Have a display that listens for somebody else's wishes suspend itself, or end.

        It reads its options before it listens. One that never had a client ends and is started
        again; nothing is lost, since no program comes up on it before its first client.
        """
        self._dismissed = True
        self._trying += 1
        self.tries = 0
        _ = self._tasks.isolated("dismiss-display", self._dismiss())

    async def _start(self, wishes: DisplayParams) -> None:
        clock = self._parts.clock
        began = clock.monotonic_s()
        with self._telling("start"):
            try:
                session_script.write_params(self._parts, self._guest, wishes)
                self._note_lasting(None)
                code = await session_script.run(self._parts, self._guest, "start")
                if code not in {0, ALREADY_RUNNING}:
                    raise _script_failed("start", code)
                self.ready_for = wishes if code == 0 else None
            finally:
                self._guest.steps["session"] = clock.monotonic_s() - began
        # One that ends before it has said a word is noticed by its process alone.
        while not self.closed and self.state is DisplayState.STARTING:
            self._watch_process()
            if self.watched is not None:
                return
            await clock.sleep(PID_S)

    async def _resume(self, newest: Callable[[], DisplayParams]) -> None:
        toggled = False
        try:
            with self._telling("resume"):
                wishes = await self._prepare_in_turn(newest)
                toggled = await self._toggle()
                self.ready_for = wishes if toggled else self.ready_for
        finally:
            if not toggled:
                self._turn.end()

    async def _prepare_in_turn(self, newest: Callable[[], DisplayParams]) -> DisplayParams:
        wishes = None
        while True:
            await self._take_turn()
            if wishes != newest():
                wishes = newest()
                await self._prepare(wishes)
            if self._turn.held and wishes == newest():
                self._limit_turn()
                return wishes

    async def _take_turn(self) -> None:
        self._turn.end()
        self.queued = True
        self._turn = Turn(self._shared.redraws)
        await self._turn.take()
        self.queued = False
        self._limit_turn()

    def _limit_turn(self) -> None:
        # Neither a script that stalls nor a client that does not come keeps others from theirs.
        if self._turn_limit is not None:
            self._turn_limit.cancel()
        self._turn_limit = self._tasks.isolated("end-turn", self._end_turn(self._turn))

    @contextlib.contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        # The actor hears of the end of whatever it began, however it ends.
        error: FarmError | None = GuestFailed("The node made a mistake; see its log.", step=what)
        try:
            yield
            error = None
        except FarmError as expected:
            error = expected
        finally:
            self._news.tried(what, error)

    async def _end_turn(self, turn: Turn) -> None:
        await self._parts.clock.sleep(TURN_S)
        turn.end()

    async def _prepare(self, wishes: DisplayParams) -> None:
        params = session_script.write_params(self._parts, self._guest, wishes)
        digest = hashlib.sha256(params).hexdigest()
        if digest == self._guest.lasting:
            return
        self._note_lasting(None)  # one that fails may have changed the options all the same
        code = await session_script.run(self._parts, self._guest, "resume")
        if code not in {0, LASTING}:
            raise _script_failed("resume", code)
        if code == LASTING:
            self._note_lasting(digest)

    def _note_lasting(self, digest: str | None) -> None:
        # The next process of the node spares the script, too, when all its clients come at once.
        if digest == self._guest.lasting:
            return
        self._guest.lasting = digest
        record = self._guest.record(self._parts.boot_id)
        if record is None:  # the guest is being cleaned up
            return
        try:
            self._shared.state_files.write(record)
        except FarmError as error:
            log.warning("lasting_not_noted", extra={"vm": self._vm_id, "because": str(error)})

    async def _toggle(self) -> bool:
        if self.state is not DisplayState.SUSPENDED:
            return False
        self._begun = False
        if not await self._hang_up():
            return False
        self._news.heard([DisplayEvent.RESUME_ASKED])
        _ = self._tasks.isolated("insist-display", self._insist())
        return True

    async def _insist(self) -> None:
        # Nobody is let in before it listens, so until then no SIGHUP can suspend a client.
        for again in range(HANGUPS_MAX):
            await self._parts.clock.sleep(HEARD_S * 2**again)
            if self._begun or self.state is not DisplayState.STARTING:
                return
            if not await self._hang_up():
                return

    async def _hang_up(self) -> bool:
        # Nothing may be awaited between the caller's look at the state and the signal.
        pid = self._parts.run_folders.display_pid(self._vm_id)
        if pid is None or not await self._parts.driver.signal_display(
            self._spec(), pid, signal.SIGHUP
        ):
            self._news.heard([DisplayEvent.GONE])
            return False
        return True

    async def _dismiss(self) -> None:
        with self._telling("dismiss"):
            try:
                port = self._parts.settings.display_port
                await self._parts.driver.dismiss_display(self._spec(), port)
            except Exception:
                self._dismissed = False
                raise

    def _spec(self) -> GuestSpec:
        return session_script.spec_of(self._parts, self._guest)

    def _trim_log(self) -> None:
        try:
            self._parts.run_folders.trim(self._vm_id)
        except FarmError as error:
            log.warning("log_not_cut", extra={"vm": self._vm_id, "because": str(error)})

    def _watch_process(self) -> None:
        try:
            pid = self._parts.run_folders.display_pid(self._vm_id)
        except FarmError as error:
            log.warning("display_not_watched", extra={"vm": self._vm_id, "because": str(error)})
            return
        if pid is not None and pid != self.watched:
            self.watched = pid
            _ = self._tasks.isolated("watch-display", self._process_gone(pid))

    async def _process_gone(self, pid: int) -> None:
        spec = self._spec()
        await looking.repeated(
            self._parts.clock,
            lambda: self._parts.driver.wait_display(spec, pid),
            what="display's process",
            vm_id=self._vm_id,
        )
        # Its last words are heard first, so that they are not taken for those of the next one.
        await self._parts.clock.sleep(LAST_WORDS_S)
        self._news.ended(pid)


def _script_failed(verb: str, code: int) -> GuestFailed:
    return GuestFailed(
        f"The desktop could not be brought up: its session script's {verb} ended with {code}"
        " (see the VM's log).",
        step="session",
    )
