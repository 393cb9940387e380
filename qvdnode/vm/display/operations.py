"""Carries out the effects of one guest's display, and posts what comes of them.

It decides nothing and keeps no state of the display: core/display_machine.py does.
"""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, Final

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import FarmError, GuestFailed, HostFailed, PartGone
from qvdnode.model.guest import DISPLAY_PORT, GuestSpec
from qvdnode.runtime.supervise import Supervisor
from qvdnode.vm import retry
from qvdnode.vm.core import effects as e
from qvdnode.vm.core import messages as m
from qvdnode.vm.core.display import DisplayEvent
from qvdnode.vm.dependencies import FleetDependencies, FleetState
from qvdnode.vm.display import session_script
from qvdnode.vm.guest_driver import GuestDriver
from qvdnode.vm.resources import GuestResources

log = logging.getLogger(__name__)

LAST_LINES_S: Final = 0.1
"""Longer than the log may stay unread, see host.inotify.REST_S."""
LOG_TAIL_MAX: Final = 2000
"""Characters of its logs that are kept when a display is lost; the logs go with the guest."""


class RedrawSlot:
    """One place among the displays that may redraw at the same time, taken and given back once."""

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places = places
        self._held = False

    async def take(self) -> None:
        """Return when the place is this one's."""
        await self._places.acquire()
        self._held = True

    def end(self) -> None:
        """Let the next one have it; safe to repeat."""
        if self._held:
            self._held = False
            self._places.release()


class DisplayOperations:
    """Belongs to one start of one VM; each message that it posts carries the start's number."""

    def __init__(
        self,
        dependencies: FleetDependencies,
        state: FleetState,
        guest: GuestResources,
        start: int,
        tasks: Supervisor,
        post: Callable[[m.Message], None],
    ) -> None:
        self._dependencies = dependencies
        self._state = state
        self._guest = guest
        self._start = start
        self._tasks = tasks
        self._post = post
        self._vm_id = guest.order.vm.id
        self._stop_following: Callable[[], None] | None = None
        self._slot: RedrawSlot | None = None
        self._queueing: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    def perform(self, effect: e.DisplayEffect) -> None:  # noqa: C901, PLR0912 - one case an effect
        """Carry out an effect, in a task if it takes long. `HangUp` is for `hang_up`."""
        match effect:
            case e.FollowLog():
                self._follow()
            case e.CloseDisplay():
                self._end_redraw()
                self._unfollow()
            case e.RunStart(run=run, params=params):
                _ = self._begin("start", self._run_start(run, params))
            case e.PrepareResume(params=params):
                _ = self._begin("resume", self._prepare_resume(params))
            case e.Dismiss():
                _ = self._begin("dismiss", self._dismiss())
            case e.QueueRedraw(serial=serial):
                self._end_redraw()
                self._slot = RedrawSlot(self._state.redraws)
                self._queueing = self._begin("redraw", self._queue_redraw(self._slot, serial))
            case e.EndRedraw():
                self._end_redraw()
            case e.FindProcess(run=run):
                self._find_process(run)
            case e.WatchProcess(pid=pid):
                self._watch(pid)
            case e.TrimLog():
                self._trim_log()
            case e.HangUp():
                raise AssertionError("a turn waits for this one: hang_up")
            case e.LogLostDesktop(reason=reason):
                facts = {"vm": self._vm_id, "because": reason, "log_tail": self._log_tail()}
                log.warning("desktop_lost", extra=facts)

    async def hang_up(self, effect: e.HangUp) -> None:
        """Send SIGHUP. Nothing is awaited before the driver sends it, see guest_driver.py."""
        try:
            pid = self._dependencies.run_folders.display_pid(self._vm_id)
            found = pid is not None and await self._driver().signal_display(
                self._spec(), pid, signal.SIGHUP
            )
        except FarmError as error:
            self._post(m.HangUpFailed(self._start, effect.again, error))
            return
        except retry.OWN_FAILURES as error:
            self._post(m.HangUpFailed(self._start, effect.again, HostFailed(str(error))))
            return
        # No such process: the display has ended, and its log does not say so yet, or never will.
        if not found:
            self._post(m.HangUpMissed(self._start))

    def _begin(self, what: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._tasks.isolated(f"{what}-display", work)

    # -- the log -------------------------------------------------------------------------------

    def _follow(self) -> None:
        history: list[DisplayEvent] = []
        # What the log held before is one message, from which the state is derived anew; what comes
        # later is an event of its own each time.
        live = False

        def hear(events: Sequence[DisplayEvent]) -> None:
            if live:
                # Read now: the next start of the display overwrites it.
                code = self._desktop_exit() if DisplayEvent.GONE in events else None
                self._post(m.DisplayHeard(self._start, tuple(events), code))
            else:
                history.extend(events)

        try:
            self._stop_following = self._dependencies.run_folders.follow(self._vm_id, hear)
        except FarmError as error:
            gone = isinstance(error, PartGone)
            self._post(m.LogNotFollowed(self._start, error, gone))
        except retry.OWN_FAILURES as error:
            self._post(m.LogNotFollowed(self._start, HostFailed(str(error)), gone=False))
        else:
            live = True
            self._post(m.LogFollowed(self._start, tuple(history)))

    def _unfollow(self) -> None:
        if self._stop_following is not None:
            self._stop_following()
            self._stop_following = None

    def _trim_log(self) -> None:
        try:
            self._dependencies.run_folders.trim(self._vm_id)
        except FarmError as error:
            log.warning("log_not_trimmed", extra={"vm": self._vm_id, "because": str(error)})

    def _log_tail(self) -> str:
        try:
            return self._dependencies.run_folders.log_tail(self._vm_id)[-LOG_TAIL_MAX:]
        except FarmError as error:
            return f"(unreadable: {error})"

    def _desktop_exit(self) -> int | None:
        try:
            return self._dependencies.run_folders.desktop_exit(self._vm_id)
        except FarmError:
            return None  # a hint of the guest; without it the end counts as a logout

    # -- its process ---------------------------------------------------------------------------

    def _find_process(self, run: int) -> None:
        try:
            pid = self._dependencies.run_folders.display_pid(self._vm_id)
        except FarmError as error:
            log.warning("display_not_watched", extra={"vm": self._vm_id, "because": str(error)})
            return
        if pid is not None:
            self._post(m.ProcessFound(self._start, run, pid))

    def _watch(self, pid: int) -> None:
        # One at a time: a guest can name another process as often as it likes, and each watch
        # holds a descriptor of the node's.
        if self._watching is not None:
            self._watching.cancel()
        self._watching = self._begin("watch", self._watch_process(pid))

    async def _watch_process(self, pid: int) -> None:
        # The spec is taken now: the resources are gone by the time the guest is killed.
        spec = self._spec()
        await retry.retry(
            self._dependencies.clock,
            lambda: self._driver().wait_display(spec, pid),
            what="display's process",
            vm_id=self._vm_id,
        )
        # Its last log lines are read first, or they would be taken for those of the next display.
        await self._dependencies.clock.sleep(LAST_LINES_S)
        self._post(m.DisplayProcessGone(self._start, pid, self._desktop_exit()))

    # -- start, resume, dismissal ----------------------------------------------------------------

    async def _run_start(self, run: int, params: DisplayParams) -> None:
        with self._reporting("start"):
            ran_already = await session_script.start(
                self._dependencies, self._state, self._guest, params
            )
            self._post(m.StartScriptEnded(self._start, run, params, ran_already))

    async def _prepare_resume(self, params: DisplayParams) -> None:
        with self._reporting("resume"):
            await session_script.prepare_resume(
                self._dependencies, self._state, self._guest, params
            )
            self._post(m.ResumePrepared(self._start, params))

    async def _dismiss(self) -> None:
        with self._reporting("dismiss"):
            await self._driver().dismiss_display(self._spec(), DISPLAY_PORT)
            self._post(m.DisplayDismissed(self._start))

    @contextlib.contextmanager
    def _reporting(self, what: str) -> Iterator[None]:
        # The core counts what is unfinished, so it must hear of every end.
        error: FarmError | None = GuestFailed("The node made a mistake; see its log.", step=what)
        try:
            yield
            error = None
        except FarmError as expected:
            error = expected
        finally:
            if error is not None:
                self._post(m.DisplayTaskFailed(self._start, what, error))

    async def _queue_redraw(self, slot: RedrawSlot, serial: int) -> None:
        await slot.take()
        self._post(m.RedrawSlotGiven(self._start, serial))

    def _end_redraw(self) -> None:
        if self._queueing is not None:
            self._queueing.cancel()
        if self._slot is not None:
            self._slot.end()
        self._queueing = self._slot = None

    def _driver(self) -> GuestDriver:
        return self._dependencies.driver(self._guest)

    def _spec(self) -> GuestSpec:
        return session_script.spec_of(self._dependencies, self._guest)
