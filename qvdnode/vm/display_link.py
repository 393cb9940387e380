"""One guest's display as the actor sees it: its state, its log, its process, and how to move it."""

# tested-by: tests/unit/vm/test_fleet.py

import asyncio
import logging
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import FarmError, GuestFailed
from qvdnode.model.guest import GuestSpec
from qvdnode.model.vm_state import DisplayState
from qvdnode.runtime.supervise import Supervisor
from qvdnode.vm import session_script
from qvdnode.vm.core import display
from qvdnode.vm.core.display import DisplayEvent
from qvdnode.vm.guest import Guest
from qvdnode.vm.parts import FleetParts

log = logging.getLogger(__name__)

LAST_WORDS_S: Final = 0.1
"""Longer than the log may be left unread, see host.inotify.REST_S."""
PATIENCE_S: Final = 10.0
"""A display that listened longer than this is sound; nxagent itself gives up after a minute."""
ALREADY_RUNNING: Final = 4
"""Exit code of the session script's `start`."""
LASTING: Final = 6
"""Of its `resume`: done, and not to be run again while the parameters stay the same."""
DRAWN_S: Final = 1.0
"""How long a resumed display may keep others from their turn."""
HEARD_S: Final = 0.12
"""nxagent rests 50 ms after each stir of a suspended desktop, and loses a SIGHUP meanwhile. Twice
that, and twice as long each time: one too many would take a resume back."""
HANGUPS_MAX: Final = 6


@dataclass(frozen=True, slots=True)
class DisplayNews:
    """Where a display's news go: each posts to the actor's mailbox."""

    heard: Callable[[Sequence[DisplayEvent]], None]
    ended: Callable[[int], None]
    """The process of that guest pid is gone."""
    failed: Callable[[FarmError], None]


class DisplayLink:
    """Belongs to one start of one VM."""

    def __init__(
        self,
        parts: FleetParts,
        guest: Guest,
        tasks: Supervisor,
        redraws: asyncio.Semaphore,
        news: DisplayNews,
    ) -> None:
        self._parts = parts
        self._guest = guest
        self._tasks = tasks
        self._redraws = redraws
        self._heard = news.heard
        self._ended = news.ended
        self._failed = news.failed
        self._vm_id = guest.order.vm.id
        self._unfollow: Callable[[], None] | None = None
        self.watched: int | None = None
        """Guest pid of the display that runs."""
        self.state = DisplayState.OFF
        self.ever_connected = False
        self.tries = 0
        """How often it was started in a row, see VmSettings.display_tries."""
        self._listening_s = 0.0
        self.ready_for: DisplayParams | None = None
        """The wishes it was last started or resumed with; None when that is not known, or when
        somebody may have dialled it since."""
        self.queued = False
        """Whether it waits for its turn to be resumed."""
        self._resuming = self._dismissed = self._begun = False
        self._lasting: bytes | None = None
        """The parameters for which a resume needs no script any more."""
        self._drawn = asyncio.Event()

    @property
    def busy(self) -> bool:
        """Whether it is being resumed, or made to let go of whom it waits for."""
        return self._resuming or self._dismissed

    def follow(self) -> None:
        """Begin to listen; what an adopted display said before counts as history."""
        history: list[DisplayEvent] = []
        live = False

        def hear(events: Sequence[DisplayEvent]) -> None:
            if live:
                self._heard(events)
            else:
                history.extend(events)

        self._unfollow = self._parts.run_folders.follow(self._vm_id, hear)
        live = True
        self.state, self.ever_connected = display.replay(history)
        self._watch_process()

    def close(self) -> None:
        """Stop listening."""
        if self._unfollow is not None:
            self._unfollow()
            self._unfollow = None

    def take(self, event: DisplayEvent) -> bool:
        """Step the table; whether the state changed."""
        self._begun = self._begun or event is DisplayEvent.BEGINS
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
        self.state = target
        self._dismissed = self._dismissed and target is DisplayState.LISTENING
        self.ever_connected = self.ever_connected or event is DisplayEvent.CONNECTED
        if target not in {DisplayState.STARTING, DisplayState.LISTENING}:
            self._drawn.set()
        if target in {DisplayState.LISTENING, DisplayState.CONNECTED}:
            self._watch_process()
        if target is DisplayState.OFF:
            self.watched = None
        if target is DisplayState.SUSPENDED:
            self._parts.run_folders.trim(self._vm_id)
        return True

    def start(self, wishes: DisplayParams) -> None:
        """Run the session script's `start`; the log tells the rest."""
        self.tries += 1
        self.take(DisplayEvent.START_ASKED)
        _ = self._tasks.isolated("start-display", self._start(wishes))

    def resume(self, newest: Callable[[], DisplayParams]) -> None:
        """Run the session script's `resume`, then toggle; only a suspended display may be.

        `newest` gives the wishes of the client that waits now. Displays take turns until their
        client sees the desktop: when more redraw than there are cores, nxagent now and then keeps
        its last requests back until a pause of 5 s is over.
        """
        self._resuming = True
        _ = self._tasks.isolated("resume-display", self._resume(newest))

    def dismiss(self) -> None:
        """Have a display that listens for somebody else's wishes suspend itself, or end.

        It reads its options before it listens. One that never had a client ends and is started
        again; nothing is lost, since no program comes up on it before its first client.
        """
        self._dismissed = True
        self.tries = 0
        _ = self._tasks.isolated("dismiss-display", self._dismiss())

    async def _start(self, wishes: DisplayParams) -> None:
        clock = self._parts.clock
        began = clock.monotonic_s()
        try:
            session_script.write_params(self._parts, self._guest, wishes)
            code = await session_script.run(self._parts, self._guest, "start")
            if code not in {0, ALREADY_RUNNING}:
                raise _script_failed("start", code)
            self.ready_for = wishes if code == 0 else None
        except FarmError as error:
            self._failed(error)
        finally:
            self._guest.steps["session"] = clock.monotonic_s() - began

    async def _resume(self, newest: Callable[[], DisplayParams]) -> None:
        self.queued = True
        async with self._redraws:
            self.queued = False
            self._drawn = drawn = asyncio.Event()
            try:
                await self._prepare(newest)
                toggled = await self._toggle()
            except FarmError as error:
                self._failed(error)
                return
            finally:
                self._resuming = False
            if toggled:
                _ = self._tasks.isolated("end-turn", self._end_turn(drawn))
                await drawn.wait()

    async def _end_turn(self, drawn: asyncio.Event) -> None:
        await self._parts.clock.sleep(DRAWN_S)
        drawn.set()

    async def _prepare(self, newest: Callable[[], DisplayParams]) -> None:
        wishes = None
        while wishes != newest():
            wishes = newest()
            params = session_script.write_params(self._parts, self._guest, wishes)
            if params == self._lasting:
                continue
            self._lasting = None  # one that fails may have changed the options all the same
            code = await session_script.run(self._parts, self._guest, "resume")
            if code not in {0, LASTING}:
                raise _script_failed("resume", code)
            self._lasting = params if code == LASTING else None
        self.ready_for = wishes

    async def _toggle(self) -> bool:
        if self.state is not DisplayState.SUSPENDED:
            return False
        self._begun = False
        if not await self._hang_up():
            return False
        self._heard([DisplayEvent.RESUME_ASKED])
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
            self._heard([DisplayEvent.GONE])
            return False
        return True

    async def _dismiss(self) -> None:
        try:
            port = self._parts.settings.display_port
            await self._parts.driver.dismiss_display(self._spec(), port)
        except FarmError as error:
            self._dismissed = False
            self._failed(error)

    def _spec(self) -> GuestSpec:
        return session_script.spec_of(self._parts, self._guest)

    def _watch_process(self) -> None:
        pid = self._parts.run_folders.display_pid(self._vm_id)
        if pid is not None and pid != self.watched:
            self.watched = pid
            _ = self._tasks.isolated("watch-display", self._process_gone(pid))

    async def _process_gone(self, pid: int) -> None:
        await self._parts.driver.wait_display(self._spec(), pid)
        # Its last words are heard first, so that they are not taken for those of the next one.
        await self._parts.clock.sleep(LAST_WORDS_S)
        self._ended(pid)


def _script_failed(verb: str, code: int) -> GuestFailed:
    return GuestFailed(
        f"The desktop could not be brought up: its session script's {verb} ended with {code}"
        " (see the VM's log).",
        step="session",
    )
