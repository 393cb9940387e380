"""Timers of one VM, as data. One that was armed again or disarmed is stale when it fires."""

from dataclasses import dataclass, field

from qvdnode.vm.core.effects import ArmTimer, DisarmTimer, Effect, Timer


@dataclass(slots=True)
class Timers:
    """Says which timers run. The shell sleeps, and reports each end with the timer's serial."""

    last_serial: int = 0
    armed: dict[Timer, int] = field(default_factory=dict)

    def arm(self, timer: Timer, seconds: float) -> ArmTimer:
        """Fire that much later, unless armed again or disarmed before."""
        self.last_serial += 1
        self.armed[timer] = self.last_serial
        return ArmTimer(timer, self.last_serial, seconds)

    def disarm(self, timer: Timer) -> list[Effect]:
        """Make the timer stale if it runs."""
        return [] if self.armed.pop(timer, None) is None else [DisarmTimer(timer)]

    def take(self, timer: Timer, serial: int) -> bool:
        """Whether the timer that fired is not stale; it runs no more."""
        if self.armed.get(timer) != serial:
            return False
        del self.armed[timer]
        return True
