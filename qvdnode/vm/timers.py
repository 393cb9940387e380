"""Timers of an actor, as data: armed again or disarmed, an older one that fires is stale."""

from collections.abc import Callable
from enum import StrEnum

from qvdnode.runtime.clock import Clock
from qvdnode.runtime.supervise import Supervisor


class Timer(StrEnum):
    """What an actor sets a limit to."""

    BOOT = "boot"
    """From leaving the queue to a display that listens."""
    ATTACH = "attach"
    """From a client's wish to its seat, where nothing has to be started."""
    STOP = "stop"
    """For a guest to end by itself."""


class Timers:
    """`fired` is called, by the actor's mailbox, with a kind and the serial to judge it by."""

    def __init__(
        self, clock: Clock, tasks: Supervisor, fired: Callable[[Timer, int], None]
    ) -> None:
        self._clock = clock
        self._tasks = tasks
        self._fired = fired
        self._serial = 0
        self._armed: dict[Timer, int] = {}

    def arm(self, timer: Timer, seconds: float) -> None:
        """Fire that much later, unless armed again or disarmed before."""
        self._serial += 1
        self._armed[timer] = self._serial
        _ = self._tasks.isolated(f"timer-{timer}", self._ring(timer, self._serial, seconds))

    def disarm(self, timer: Timer) -> None:
        """Make one that runs stale."""
        self._armed.pop(timer, None)

    def take(self, timer: Timer, serial: int) -> bool:
        """Whether the one that fired is not stale; it runs no more."""
        if self._armed.get(timer) != serial:
            return False
        del self._armed[timer]
        return True

    async def _ring(self, timer: Timer, serial: int, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._fired(timer, serial)
