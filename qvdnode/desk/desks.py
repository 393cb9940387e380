"""The desktops that are used in browsers at this node: tickets, room, and their ends."""

import asyncio
import logging
import secrets
from collections.abc import Callable
from functools import partial
from typing import Final

from qvdnode.desk import sandbox
from qvdnode.desk.assistance import Assistance, AssistanceDesk, Note
from qvdnode.desk.core import assistance as messages_of_help
from qvdnode.desk.core import endings, messages
from qvdnode.desk.core.messages import Open
from qvdnode.desk.core.tickets import LIFE_S, Tickets
from qvdnode.desk.ports import Browser
from qvdnode.desk.settings import BrowserSettings
from qvdnode.desk.viewing import Seating, Viewing, ViewingParts
from qvdnode.host.cgroups import Cgroups
from qvdnode.model.errors import Conflict, FarmError, Invalid, NodeFull, TimedOut, Unavailable
from qvdnode.model.ids import VmId
from qvdnode.model.principal import Principal
from qvdnode.proxy.ports import GuestDialer
from qvdnode.proxy.settings import RelaySettings
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.tick_batch import TickBatch
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.session.access import Permission
from qvdnode.session.desktops import Desktops
from qvdnode.telemetry.metrics import Counter, Gauge

log = logging.getLogger(__name__)

SESSIONS = Gauge("qvdnode_browser_sessions", "Desktops that are used in a browser")
OPENED = Counter("qvdnode_browser_opened_total", "Desktops opened in a browser")
OPEN_LIMIT_S: Final = 10.0
OFF: Final = "Desktops cannot be opened in a browser here; use the native client."
STOPPING: Final = "This node is stopping; connect again in a moment."


class Desks:
    """The front of this package."""

    def __init__(  # noqa: PLR0913 - each is a part of the node that a browser's session needs
        self,
        desktops: Desktops,
        dialer: GuestDialer,
        relay: RelaySettings,
        settings: BrowserSettings,
        clock: Clock,
        cgroups: Cgroups,
        prefix: str,
        uids: range,
        missing: Callable[[], list[str]] = sandbox.missing_programs,
    ) -> None:
        """`uids` are host ids of the node's; the displays take theirs from its end."""
        self._parts = ViewingParts(
            desktops=desktops,
            dialer=dialer,
            relay=relay,
            settings=settings,
            cgroups=cgroups,
            prefix=prefix,
            tick_batch=TickBatch(),
            starts=asyncio.Semaphore(settings.starts_at_once),
        )
        self._settings = settings
        self._clock = clock
        self._uids = uids
        self._missing = missing
        self._tickets: Tickets[Permission] = Tickets()
        self._viewings: dict[int, Viewing] = {}
        self._stopping = False
        self.assistance: Final = AssistanceDesk(clock)
        """Helpers who see desktops in browsers of this node."""

    async def sweep(self) -> None:
        """Remove what an earlier process left, or this one at its end."""
        await asyncio.to_thread(sandbox.sweep, self._parts.prefix, self._parts.cgroups)

    def refusal(self) -> str | None:
        """Why no desktop can be opened in a browser here now, as a sentence; None if one can."""
        if not self._settings.enabled or not self._settings.sessions_max:
            return OFF
        if missing := self._missing():
            return (
                f"Desktops cannot be opened in a browser here: {', '.join(missing)} is not"
                " installed. Use the native client, and tell your administrator."
            )
        return None

    async def ticket(self, principal: Principal, permission: Permission) -> str:
        """A ticket to open that desktop once, soon; raises Unavailable, NodeFull, Throttled."""
        self._demand_room()
        key = secrets.token_urlsafe(32)
        self._tickets.add(key, principal.user_id, permission, self._clock.monotonic_s())
        return key

    def ask_user(
        self, vm_id: VmId, token_id: int, helper: str, *, helps: bool, note: Note
    ) -> Assistance:
        """Ask the user who has the desktop open here whether that helper may see it.

        Raises Conflict when it is open nowhere at this node, or another helper is there.
        """
        found = [viewing for viewing in self._viewings.values() if viewing.vm_id == vm_id]
        if not found:
            raise Conflict(
                "This desktop is not open in a browser at this node. A user of a native client"
                " opens it in a browser first; one at another node is helped from its page."
            )
        viewing = found[0]
        asked = self.assistance.ask(
            vm_id, viewing.user_id, token_id, helper, helps=helps, note=note
        )
        viewing.note(messages_of_help.asked(asked.key, helper, helps=helps))
        return asked

    async def view(self, principal: Principal, browser: Browser, source: str) -> None:
        """Show a desktop in the browser until one of them ends it; raises OSError."""
        slot: int | None = None
        try:
            wishes = await _opening(browser)
            permission = self._tickets.take(
                wishes.ticket, principal.user_id, self._clock.monotonic_s()
            )
            self._demand_room()
            slot = next(n for n in range(len(self._uids)) if n not in self._viewings)
            seating = Seating(permission, wishes, source, slot, self._uids[-1 - slot])
            viewing = Viewing(self._parts, seating, browser)
            self._viewings[slot] = viewing
            SESSIONS.inc()
            OPENED.inc()
            viewing.on_refusal = partial(self.assistance.refuse, vm_id=viewing.vm_id)
            ending = await viewing.run()
        except FarmError as error:
            ending = endings.of_error(error)
        finally:
            if slot is not None:
                SESSIONS.dec()
                self.assistance.left(self._viewings.pop(slot).vm_id)
        await browser.tell(messages.ended(ending.code, ending.sentence, again=ending.again))

    def stop(self) -> None:
        """End every session; their pages open them again, at this node or another one."""
        self._stopping = True
        for viewing in tuple(self._viewings.values()):
            viewing.evict(STOPPING)

    def _demand_room(self) -> None:
        refusal = self.refusal()
        if refusal is not None:
            raise Unavailable(refusal)
        if self._stopping:
            raise Unavailable(STOPPING)
        if len(self._viewings) >= self._settings.sessions_max:
            raise NodeFull(
                f"This node shows {self._settings.sessions_max} desktops in browsers already, the"
                " most that it may. Try again later, or use the native client."
            )


async def _opening(browser: Browser) -> Open:
    """The page's first message; raises Invalid, TimedOut."""
    try:
        async with TimeLimit(OPEN_LIMIT_S):
            said = await browser.receive()
    except TimeoutError as error:
        raise TimedOut("The page did not say in time which desktop to open.") from error
    if not isinstance(said, str):
        raise Invalid("The page must first say which desktop to open.")
    found = messages.parse(said)
    if not isinstance(found, Open):
        raise Invalid("The page must first say which desktop to open.")
    return found


__all__ = ["LIFE_S", "Desks"]
