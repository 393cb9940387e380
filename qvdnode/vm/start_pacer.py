"""Adapts how many VMs are brought up at once to how the host bears it (core/start_pace.py)."""

import logging
from collections.abc import Callable
from typing import Final

from qvdnode.runtime.clock import Clock
from qvdnode.vm.core.start_pace import Stalls, StartPace

log = logging.getLogger(__name__)

EVERY_S: Final = 5.0


class StartPacer:
    """Reads the host's stalls every few seconds."""

    def __init__(
        self,
        most: int,
        stalls: Callable[[], Stalls],
        start_at_once: Callable[[int], None],
        clock: Clock,
    ) -> None:
        """`most` is the setting; `start_at_once` gets each new number."""
        self._pace = StartPace(most)
        self._stalls = stalls
        self._start_at_once = start_at_once
        self._clock = clock

    async def run(self) -> None:
        """Adapt until cancelled."""
        while True:
            await self._clock.sleep(EVERY_S)
            stalls = self._stalls()
            if self._pace.hear(stalls, self._clock.monotonic_s()):
                at_once = self._pace.at_once
                because = stalls.problem or "nothing has waited for a minute"
                log.info("start_pace_changed", extra={"at_once": at_once, "because": because})
                self._start_at_once(at_once)
