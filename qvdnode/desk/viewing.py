"""One desktop in one browser, from the ticket to the end.

To the session, the accounting and the farm it is a client as any other: it gets a seat, has its
stream relayed, is evicted by a newer client and gives the seat back.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Final

from qvdnode.desk import rfb_socket, sandbox
from qvdnode.desk.core import endings, flags, messages
from qvdnode.desk.core.endings import Ending
from qvdnode.desk.core.flags import DeskFlags
from qvdnode.desk.core.messages import Open, Refused, Typed
from qvdnode.desk.fit import keep_fit
from qvdnode.desk.nx_end import NxEnd
from qvdnode.desk.ports import Browser
from qvdnode.desk.sandbox import Desk, DeskSpec
from qvdnode.desk.settings import BrowserSettings
from qvdnode.host.cgroups import Cgroups
from qvdnode.model.errors import FarmError, HostFailed, Invalid, NotFound
from qvdnode.model.ids import UserId, VmId
from qvdnode.proxy.ports import GuestDialer
from qvdnode.proxy.relay import Relay
from qvdnode.proxy.settings import RelaySettings
from qvdnode.runtime.supervise import Supervisor
from qvdnode.runtime.tick_batch import TickBatch
from qvdnode.session.access import Permission
from qvdnode.session.connect import SessionTicket
from qvdnode.session.desktops import Desktops

log = logging.getLogger(__name__)

REASON_WAIT_S: Final = 1.0
"""Why a display has ended is known a moment later: it ends with its stream, or before it."""
NO_DISPLAY: Final = "The display for the browser could not be started. Tell your administrator."


@dataclass(frozen=True, slots=True)
class ViewingParts:
    """What all sessions share."""

    desktops: Desktops
    dialer: GuestDialer
    relay: RelaySettings
    settings: BrowserSettings
    cgroups: Cgroups
    prefix: str
    tick_batch: TickBatch
    starts: asyncio.Semaphore


@dataclass(frozen=True, slots=True)
class Seating:
    """Who wants which desktop, and where its display runs."""

    permission: Permission
    wishes: Open
    source: str
    slot: int
    """Number among this node's browser displays; no two have the same at a time."""
    uid: int


class Viewing:
    """Satisfies session.ports.ClientEnd."""

    def __init__(self, parts: ViewingParts, seating: Seating, browser: Browser) -> None:
        self._parts = parts
        self._seating = seating
        self._browser = browser
        self._size = flags.within(seating.wishes.width, seating.wishes.height)
        self._over: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._relay: Relay | None = None
        self._seated: asyncio.Future[SessionTicket] = asyncio.get_running_loop().create_future()
        self._rfb_open: asyncio.Future[Desk] = asyncio.get_running_loop().create_future()
        self.on_refusal: Callable[[str], None] = lambda _key: None
        """Hears that the user does not want to be helped."""
        self._told = asyncio.Queue[str](maxsize=64)

    @property
    def vm_id(self) -> VmId:
        """The desktop."""
        return self._seating.permission.order.vm.id

    @property
    def user_id(self) -> UserId:
        """Whose desktop it is."""
        return self._seating.permission.principal.user_id

    def note(self, message: str) -> None:
        """Send the page a control message soon; dropped if it is far behind."""
        self._note(message)

    async def run(self) -> Ending:
        """Show the desktop until it ends; nothing is left of it then. Raises no FarmError."""
        async with Supervisor("browser") as tasks:
            # Any of them may end the session first. Leaving the scope then cancels the others.
            _ = tasks.isolated("up", self._step(self._up()))
            _ = tasks.isolated("login", self._step(self._browser.logged_out()))
            _ = tasks.isolated("tell", self._step(self._tell()))
            _ = tasks.isolated("attach", self._step(self._attach()))
            _ = tasks.isolated("show", self._step(self._show(tasks)))
            return await self._over

    def evict(self, reason: str) -> None:
        """End the session for that reason."""
        if self._relay is not None:
            self._relay.evict(reason)
        self._end(endings.of_stream(reason))

    def progress(self, sentence: str) -> None:
        """Tell the waiting page one sentence."""
        self._note(messages.progress(sentence))

    def _note(self, message: str) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self._told.put_nowait(message)

    def _end(self, ending: Ending) -> None:
        if not self._over.done():
            self._over.set_result(ending)

    async def _step(self, work: Coroutine[object, object, None]) -> None:
        """Run a part of the session: its end by an error is the session's."""
        try:
            await work
        except FarmError as error:
            if isinstance(error, HostFailed):
                log.warning("browser_display_failed", extra={"because": str(error)})
                self._end(Ending(error.code, NO_DISPLAY))
            else:
                self._end(endings.of_error(error))
        except OSError:
            self._end(endings.GONE)
        except Exception:
            self._end(Ending("error", "The server failed; its log has the details."))
            raise

    async def _tell(self) -> None:
        while True:
            await self._browser.tell(await self._told.get())

    async def _up(self) -> None:
        """Pass on what the page sends, until it leaves."""
        while (said := await self._browser.receive()) is not None:
            if isinstance(said, bytes):
                if not self._rfb_open.done():
                    raise Invalid("RFB begins with the server's greeting")
                if not await rfb_socket.sent(self._rfb_open.result().rfb, said):
                    await self._display_ended()
                    return
                continue
            match messages.parse(said):
                case Typed(text):
                    await self._type(text)
                case Refused(key):
                    self.on_refusal(key)
                case Open():
                    raise Invalid("the desktop is open already")
        self._end(endings.GONE)

    async def _type(self, text: str) -> None:
        try:
            if not self._seated.done():
                raise NotFound("The desktop is not open yet.")
            await self._parts.desktops.type_text(self._seated.result(), text)
        except FarmError as error:
            self._note(messages.typed(done=False, sentence=str(error)))
        else:
            self._note(messages.typed(done=True))

    async def _down(self, desk: Desk) -> None:
        """Pass on what Xvnc sends; a page that is behind holds it back."""
        while data := await rfb_socket.received(desk.rfb):
            await self._browser.send(data)
        await self._display_ended()

    async def _show(self, tasks: Supervisor) -> None:
        """Make the display while the desktop is attached; then relay."""
        async with self._display() as desk:
            self._rfb_open.set_result(desk)
            _ = tasks.isolated("down", self._step(self._down(desk)))
            _ = tasks.isolated("fit", self._step(self._fit(desk)))
            _ = tasks.isolated("watch", self._step(self._watch(desk)))
            # The display and the seat both take time, so they are made side by side and meet
            # here.
            ticket = await self._seated
            self._end(endings.of_stream(await self._relayed(desk, ticket)))

    async def _watch(self, desk: Desk) -> None:
        await desk.ended()
        await self._display_ended(desk.last_words())

    async def _display_ended(self, words: str = "") -> None:
        """End the session, for the reason of the NX stream if that ends as well."""
        await asyncio.wait([self._over], timeout=REASON_WAIT_S)
        if not self._over.done():
            log.warning("browser_display_ended", extra={"because": words})
            self._end(endings.DISPLAY_LOST)

    async def _attach(self) -> None:
        """Hold a seat of the desktop until the session is over; give it back then."""
        permission, wishes = self._seating.permission, self._seating.wishes
        self.progress(f"Preparing desktop {permission.order.vm.id}")
        ticket = await self._parts.desktops.connect(
            permission,
            messages.display_params(wishes, *self._size),
            self,
            self.progress,
            source=self._seating.source,
        )
        try:
            self._seated.set_result(ticket)
            # The seat is this task's until the scope is left, however the session ends.
            await asyncio.Event().wait()
        finally:
            self._give_back(ticket)

    def _give_back(self, ticket: SessionTicket) -> None:
        relay, reason = self._relay, "the browser left"
        if relay is not None:
            relay.evict(reason)  # nothing, if it has ended
            reason = relay.reason
        self._parts.desktops.ended(
            ticket,
            reason=reason,
            bytes_in=0 if relay is None else relay.bytes_in,
            bytes_out=0 if relay is None else relay.bytes_out,
        )

    @contextlib.asynccontextmanager
    async def _display(self) -> AsyncIterator[Desk]:
        parts, seating = self._parts, self._seating
        name = str(seating.slot)
        width, height = self._size
        policy = seating.permission.order.flavour.clipboard

        def wanted(folder: str, rfb: int, filters: tuple[int, ...]) -> DeskFlags:
            return DeskFlags(
                seating.uid,
                folder,
                rfb,
                width,
                height,
                clipboard_in=parts.settings.clipboard_in and policy.into_desktop,
                clipboard_out=parts.settings.clipboard_out and policy.out_of_desktop,
                filters=filters,
            )

        spec = DeskSpec(
            name=f"{parts.prefix}-{name}",
            flags=wanted,
            group=sandbox.group_of(parts.prefix, name),
            memory_mib=parts.settings.memory_mib,
            cpu_pct=parts.settings.cpu_pct,
        )
        async with contextlib.AsyncExitStack() as stack:
            # Only the start has to wait for a turn, since it takes a processor for a while; the
            # session has its display for hours.
            async with parts.starts:
                desk = await stack.enter_async_context(sandbox.opened(spec, parts.cgroups))
            yield desk

    async def _relayed(self, desk: Desk, ticket: SessionTicket) -> str:
        """Relay NX until the stream ends; why it did."""
        vm = ticket.seat.vm_id
        connection = await desk.dial()
        end = NxEnd()
        relay = Relay(end, self._parts.tick_batch, self._parts.relay, self._parts.dialer)
        end.owner = relay
        self._relay = relay
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: end, connection)
        log.info("browser_stream_begun", extra={"vm": vm, "source": self._seating.source})
        try:
            await relay.run(ticket.seat, ticket.viewer)
        finally:
            log.info("browser_stream_ended", extra={"vm": vm, "because": relay.reason})
            end.abort()
        return relay.reason

    async def _fit(self, desk: Desk) -> None:
        # Programs in the sandbox write to this folder, so no link in it is followed.
        folder = os.open(desk.folder / sandbox.X11, os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            await keep_fit(
                folder,
                f"X{flags.DISPLAY}",
                self._seating.uid,
                lambda: self._note(messages.shown()),
            )
        finally:
            os.close(folder)
