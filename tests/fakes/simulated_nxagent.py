"""nxagent without X: the log lines, the toggling SIGHUP and the one client at a time."""

import signal
from collections.abc import Callable
from typing import Final

from qvdnode.model.vm_state import DisplayState as S

DATE: Final = "'Thu Jan  1 00:00:00 2026'."
WAITING: Final = "Info: Waiting for connection from any host on socket 'tcp:*:4100'."


class SimulatedNxagent:
    """One display; `say` gets each line it logs, `ended` is called when its process is gone.

    `read_options` gives what its options file holds now.
    """

    def __init__(
        self,
        pid: int,
        say: Callable[[str], None],
        ended: Callable[[], None],
        read_options: Callable[[], bytes],
    ) -> None:
        self.pid = pid
        self.state = S.STARTING
        self.hangups: list[S] = []
        """In which states it was sent SIGHUP."""
        self.deaf_to = 0
        """How many SIGHUPs it loses, as nxagent does when they come while it rests."""
        self.slow = False
        """Whether a resume takes until `listen` is called."""
        self.lingers = False
        """Whether its process is gone only once `exit` is called."""
        self.options = b""
        """What it read of its options file when it began to listen."""
        self._say = say
        self._ended = ended
        self._read_options = read_options
        self._greeted = self._reached = False

    def begin(self) -> None:
        """Come up and listen."""
        self._session("Starting session")
        self.listen()

    def reach(self) -> bool:
        """A client dials; False where nobody listens. The log does not tell of it yet."""
        if self.state is not S.LISTENING or self._reached:
            return False
        self._reached = True
        return True

    def connect(self) -> bool:
        """A client dials, finishes its greeting and sees the desktop."""
        if not self.reach():
            return False
        self._session("Session resumed" if self._greeted else "Session started")
        self.state, self._greeted = S.CONNECTED, True
        return True

    def drop(self) -> None:
        """The client's stream ends, or it fails its greeting."""
        if self.state is S.CONNECTED or (self.state is S.LISTENING and self._greeted):
            self._suspend()
        elif self.state is S.LISTENING:
            # The very first client: nxagent gives up altogether.
            self._session("Aborting session")
            self._session("Session aborted")
            self._end()

    def take(self, number: int) -> None:
        """A signal."""
        match number:
            case signal.SIGHUP:
                self.hangups.append(self.state)
                self._toggle()
            case signal.SIGTERM:
                self._session("Terminating session")
                self._session("Session terminated")
                self._end()
            case signal.SIGKILL:
                self._end()
            case _:
                pass

    def _toggle(self) -> None:
        if self.deaf_to:
            self.deaf_to -= 1
            return
        if self.state is S.SUSPENDED:
            self._session("Resuming session")
            self.state = S.STARTING
            if not self.slow:
                self.listen()
        elif self.state is S.CONNECTED:
            self._suspend()

    def _suspend(self) -> None:
        self._session("Suspending session")
        self._session("Session suspended")
        self.state = S.SUSPENDED

    def listen(self) -> None:
        """Read the options and wait for one client."""
        self._reached = False
        self.options = self._read_options()
        self._say(WAITING)
        self.state = S.LISTENING

    def _session(self, what: str) -> None:
        self._say(f"Session: {what} at {DATE}")

    def _end(self) -> None:
        self.state = S.OFF
        if not self.lingers:
            self.exit()

    def exit(self) -> None:
        """The process is gone."""
        self._ended()
