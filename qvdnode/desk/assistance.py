"""A helper sees, or helps in, a desktop that its user has open in a browser at this node.

The picture comes from the user's own page, and only while that page says so: the node has no other
way to it. So a helper sees nothing before the user agreed, and nothing after the user ended it.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from qvdnode.desk.core import assistance
from qvdnode.desk.core.assistance import Event, State
from qvdnode.desk.ports import Page
from qvdnode.model.errors import Conflict, Forbidden, NotFound, Unauthenticated
from qvdnode.model.ids import UserId, VmId
from qvdnode.model.principal import Principal
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.supervise import Supervisor
from qvdnode.telemetry.metrics import Gauge

SHARED = Gauge("qvdnode_browser_assisted", "Desktops that a helper sees now")
CONSENT_LIMIT_S: Final = 60.0
INPUTS_MAX: Final = 256
"""Most inputs of a helper that wait for the user's page; more are dropped."""

Note = Callable[[str], Awaitable[None]]
"""Writes that it began or ended, and why, into the audit trail."""


@dataclass(slots=True)
class Assistance:
    """One helper at one desktop."""

    key: str
    vm_id: VmId
    user_id: UserId
    token_id: int
    """Id of the helper's API token."""
    helper: str
    helps: bool
    """Whether the helper may use keyboard and pointer, too."""
    note: Note
    asked_s: float
    """When, by the monotonic clock."""
    state: State = State.ASKED
    reason: str = ""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    picture: bytes | None = None
    """The newest that the helper was not sent yet."""
    inputs: "asyncio.Queue[str]" = field(default_factory=lambda: asyncio.Queue(INPUTS_MAX))

    def happen(self, event: Event, reason: str) -> bool:
        """Go on by the table; whether that changed anything."""
        state = assistance.step(self.state, event)
        if state is None:
            return False
        self.state, self.reason = state, reason
        self.changed.set()
        return True


class AssistanceDesk:
    """All that goes on at this node; at most one for a desktop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[str, Assistance] = {}

    def ask(
        self, vm_id: VmId, user_id: UserId, token_id: int, helper: str, *, helps: bool, note: Note
    ) -> Assistance:
        """Begin one, whose user is to be asked; raises Conflict while there is another."""
        self._drop_unanswered()
        if any(one.vm_id == vm_id for one in self._open.values()):
            raise Conflict("Somebody asks this user already, or sees the desktop.")
        key, asked_s = secrets.token_urlsafe(24), self._clock.monotonic_s()
        made = Assistance(key, vm_id, user_id, token_id, helper, helps, note, asked_s)
        self._open[made.key] = made
        return made

    def left(self, vm_id: VmId) -> None:
        """The user's session is over, and so is every assistance in it."""
        for one in tuple(self._open.values()):
            if one.vm_id == vm_id and one.happen(Event.LEFT, "the user's session ended"):
                self._forget(one)

    async def help(self, key: str, token_id: int, page: Page) -> None:
        """Be the helper until it ends; raises NotFound, Forbidden, OSError."""
        one = self._known(key)
        if one.token_id != token_id:
            raise Forbidden("Somebody else asked this user.")
        try:
            async with Supervisor("helper") as tasks:
                _ = tasks.isolated("said", self._helper_said(one, page))
                _ = tasks.isolated("limit", self._expire(one))
                _ = tasks.isolated("login", self._log_out(one, page, "the helper's login ended"))
                while one.state is not State.ENDED:
                    await self._show(one, page)
                await page.tell(assistance.state_message(one.state, one.reason))
        finally:
            one.happen(Event.LEFT, "the helper left")
            self._forget(one)

    async def share(self, key: str, principal: Principal, page: Page) -> None:
        """Be the page of the user, who has agreed, until it ends.

        Raises NotFound, Forbidden, OSError.
        """
        one = self._known(key)
        if one.user_id != principal.user_id:
            raise Forbidden("This is somebody else's desktop.")
        if not one.happen(Event.AGREED, ""):
            raise NotFound("Nobody asks for this any more.")
        SHARED.inc()
        await one.note("assistance.begin")
        try:
            async with Supervisor("shared") as tasks:
                _ = tasks.isolated("picture", self._user_said(one, page))
                _ = tasks.isolated("input", self._pass_on(one, page))
                _ = tasks.isolated("login", self._log_out(one, page, "the user's login ended"))
                while one.state is not State.ENDED:
                    one.changed.clear()
                    await one.changed.wait()
            with contextlib.suppress(OSError):
                await page.tell(assistance.state_message(State.ENDED, one.reason))
        finally:
            SHARED.dec()
            one.happen(Event.LEFT, "the user ended it")
            self._forget(one)
            await one.note("assistance.end")

    def refuse(self, key: str, vm_id: VmId) -> None:
        """The user said no; nothing for one that is over, or another desktop's."""
        one = self._open.get(key)
        if one is not None and one.vm_id == vm_id:
            one.happen(Event.REFUSED, "the user said no")

    async def _show(self, one: Assistance, page: Page) -> None:
        """Tell the helper how far it is, and send the newest picture."""
        one.changed.clear()
        await page.tell(assistance.state_message(one.state, one.reason))
        while one.state is not State.ENDED:
            picture, one.picture = one.picture, None
            if picture is not None:
                await page.send(picture)
            elif one.state is State.SHARED:
                await one.changed.wait()
                one.changed.clear()
            else:
                await one.changed.wait()
                return

    async def _helper_said(self, one: Assistance, page: Page) -> None:
        while (said := await page.receive()) is not None:
            if isinstance(said, str) and one.helps and one.state is State.SHARED:
                with contextlib.suppress(asyncio.QueueFull):
                    given = assistance.parse_input(said)
                    one.inputs.put_nowait(assistance.input_message(given))
        one.happen(Event.LEFT, "the helper left")

    async def _user_said(self, one: Assistance, page: Page) -> None:
        while (said := await page.receive()) is not None:
            if isinstance(said, bytes):
                one.picture = said
                one.changed.set()
        one.happen(Event.LEFT, "the user ended it")

    async def _pass_on(self, one: Assistance, page: Page) -> None:
        while True:
            await page.tell(await one.inputs.get())

    async def _log_out(self, one: Assistance, page: Page, reason: str) -> None:
        """End it with a login of those who take part, which a thief may have."""
        with contextlib.suppress(Unauthenticated, Forbidden):
            await page.logged_out()
        one.happen(Event.LEFT, reason)

    def _drop_unanswered(self) -> None:
        """Forget those whose helper's page never came: it would have ended them in time."""
        for one in tuple(self._open.values()):
            waited_s = self._clock.monotonic_s() - one.asked_s
            if one.state is State.ASKED and waited_s > CONSENT_LIMIT_S:
                one.happen(Event.EXPIRED, "the user did not answer")
                self._forget(one)

    async def _expire(self, one: Assistance) -> None:
        await self._clock.sleep(CONSENT_LIMIT_S)
        if one.state is State.ASKED:
            one.happen(Event.EXPIRED, "the user did not answer")

    def _known(self, key: str) -> Assistance:
        self._drop_unanswered()
        one = self._open.get(key)
        if one is None:
            raise NotFound("Nobody asks for this any more.")
        return one

    def _forget(self, one: Assistance) -> None:
        self._open.pop(one.key, None)
