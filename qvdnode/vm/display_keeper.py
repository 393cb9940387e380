"""Looks after the display of one start: has it started again until a client has seen it, and says
when it is gone for good.

Called from the actor's mailbox alone, like the rest of a guest's life.
"""

# tested-by: tests/unit/vm/test_fleet_displays.py

import logging
from collections.abc import Sequence
from functools import partial
from typing import Final, Protocol

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import FarmError, GuestFailed
from qvdnode.model.vm_state import DisplayState, VmState
from qvdnode.runtime.supervise import Supervisor
from qvdnode.vm.bring_up import SharedParts
from qvdnode.vm.company import Company
from qvdnode.vm.core.display import DisplayEvent
from qvdnode.vm.core.lifecycle import GuestEvent
from qvdnode.vm.display_link import DisplayLink, DisplayNews
from qvdnode.vm.guest import Guest
from qvdnode.vm.parts import FleetParts

log = logging.getLogger(__name__)

CRASHED: Final = (
    "The desktop ended unexpectedly: it or its display crashed. A connect starts it afresh."
)
NEVER_SHOWN: Final = "The desktop ended before it could be shown."


class Life(Protocol):
    """The guest's life, as far as its display moves it."""

    @property
    def state(self) -> VmState:
        """Where the guest is."""
        ...

    @property
    def wishes(self) -> DisplayParams:
        """Of the client that waits or was attached last."""
        ...

    def happen(self, event: GuestEvent, error: FarmError | None = None) -> bool:
        """Step the guest's table."""
        ...


class DisplayKeeper:
    """What is heard of a link after it was closed is of no interest."""

    def __init__(
        self,
        parts: FleetParts,
        guest: Guest,
        tasks: Supervisor,
        shared: SharedParts,
        life: Life,
        company: Company,
    ) -> None:
        news = DisplayNews(
            heard=lambda events: company.post(partial(self._heard, tuple(events))),
            ended=lambda pid: company.post(partial(self._ended, pid)),
            tried=lambda what, error: company.post(partial(self._tried, what, error)),
        )
        self.link = DisplayLink(parts, guest, tasks, shared, news)
        self._vm_id = guest.order.vm.id
        self._tries_max = parts.settings.display_tries
        self._life = life
        self._company = company

    def _heard(self, events: Sequence[DisplayEvent]) -> None:
        for event in events:
            if self.link.closed or not self.link.take(event):
                continue
            match self.link.state:
                case DisplayState.LISTENING:
                    self._life.happen(GuestEvent.DISPLAY_LISTENS)
                case DisplayState.SUSPENDED:
                    self._company.evict("the display let go of its client")
                case DisplayState.OFF:
                    self._gone()
                case _:
                    pass

    def _ended(self, pid: int) -> None:
        # Another pid is watched, or none, where the log told of the end before.
        if self.link.watched == pid:
            self._heard([DisplayEvent.GONE])

    def _gone(self) -> None:
        link, state = self.link, self._life.state
        if state not in {VmState.BOOTING, VmState.RUNNING}:
            return
        # nxagent gives up when the very first client fails its greeting; nothing is lost by then.
        if not link.ever_connected and link.tries < self._tries_max:
            log.warning("display_restarted", extra={"vm": self._vm_id, "tries": link.tries})
            link.start(self._life.wishes)
        elif state is VmState.BOOTING or not link.ever_connected:
            self._given_up(NEVER_SHOWN)
        elif link.crashed:
            self._given_up(CRASHED)
        else:
            log.info("desktop_ended", extra={"vm": self._vm_id})
            self._company.evict("the desktop has ended")
            self._life.happen(GuestEvent.DISPLAY_DIED)

    def _given_up(self, because: str) -> None:
        self._fail(GuestFailed(because, step="display"))

    def _tried(self, what: str, error: FarmError | None) -> None:
        self.link.heard_of_try()
        if error is None or self.link.closed:
            return
        log.warning(
            "display_failed", extra={"vm": self._vm_id, "what": what, "because": str(error)}
        )
        down = self.link.state in {DisplayState.OFF, DisplayState.STARTING}
        if self._life.state is VmState.BOOTING or (what == "start" and down):
            self._fail(error)
        else:
            self._company.refuse(error)

    def _fail(self, error: FarmError) -> None:
        told = {"because": str(error), "last_words": self.link.last_words()}
        log.warning("desktop_lost", extra={"vm": self._vm_id, **told})
        if self._life.state is VmState.BOOTING:
            self._life.happen(GuestEvent.BRING_UP_FAILED, error)
        else:
            self._company.evict("the desktop ended unexpectedly")
            self._life.happen(GuestEvent.DISPLAY_DIED, error)
