"""Carries one NX stream between a client's connection and its desktop's display.

The guest is dialled only once the client's greeting is whole (wire/nx_greeting.py says why). After
that bytes are copied both ways as they come; an end that cannot keep up holds the other one back.
"""

import asyncio
import logging

from qvdnode.model.errors import FarmError, TimedOut, Unavailable
from qvdnode.model.seat import Seat, Viewer
from qvdnode.proxy.core.relay_state import RelayEvent, RelayState, reason, step
from qvdnode.proxy.guest_end import keep_alive
from qvdnode.proxy.ports import ClientStream, GuestDialer, GuestLink
from qvdnode.proxy.settings import RelaySettings
from qvdnode.runtime.tick_batch import TickBatch
from qvdnode.telemetry.metrics import Counter, Gauge
from qvdnode.wire.nx_greeting import BadGreeting, greeting_length

log = logging.getLogger(__name__)

STREAMS = Gauge("qvdnode_relay_streams", "NX streams being relayed")
BYTES = Counter("qvdnode_relay_bytes_total", "Bytes of ended NX streams", ["direction"])


class Relay:
    """One stream, from the 101 to its end. `reason`, `bytes_in` and `bytes_out` tell how it went.

    It becomes the owner of the client's stream while it runs (tls.stream.StreamOwner).
    """

    __slots__ = (
        "_copying",
        "_dialer",
        "_early",
        "_early_drawn",
        "_ended",
        "_full",
        "_greeted",
        "_guest",
        "_settings",
        "_state",
        "_stream",
        "_tick_batch",
        "_timer",
        "_waiting",
        "bytes_in",
        "bytes_out",
        "reason",
        "stream_is_lost",
    )  # fmt: skip

    def __init__(
        self,
        stream: ClientStream,
        tick_batch: TickBatch,
        settings: RelaySettings,
        dialer: GuestDialer,
        *,
        greeted: bool = False,
    ) -> None:
        """`greeted` says that another node has read the client's greeting, and sends it later."""
        self.reason = ""
        self.bytes_in = 0
        """From the client to the guest."""
        self.bytes_out = 0
        self.stream_is_lost = False
        """Whether the client's connection went away while the relay had it."""
        self._stream = stream
        self._tick_batch = tick_batch
        self._settings = settings
        self._dialer = dialer
        self._state = RelayState.DIALLING if greeted else RelayState.GREETING
        self._copying = False
        """Whether the state is that of bytes going both ways."""
        self._waiting: list[bytes] = []
        """For the guest, at the end of the loop's turn."""
        self._early = bytearray()
        """What the client sent before the guest was connected."""
        self._early_drawn = bytearray()
        """What the guest sent before the dialer has returned."""
        self._full = False
        """Whether the client has yet to take much of what it was sent."""
        self._guest: GuestLink | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._greeted = asyncio.Event()
        if greeted:
            self._greeted.set()
        self._ended = asyncio.Event()

    async def run(
        self,
        seat: Seat,
        viewer: Viewer,
        first: bytes = b"",
        *,
        full: bool = False,
        accepted: bytes = b"",
    ) -> None:
        """Relay until the stream ends; `first` is what the client sent before it saw the 101.

        `full` says that it has yet to take much of what it was told until then; `accepted` is sent
        to it once the guest is connected. Its connection is left closing, the guest's is gone; no
        expected error is raised.
        """
        # From here on the stream reports to this object instead of the connection.
        self._stream.owner = self
        self._full = self._full or full
        if self._stream.transport is not None:
            keep_alive(self._stream.transport, self._settings.silence_limit_s)
        self._stream.resume_reading()  # its last owner may have paused it for being full
        with STREAMS.track_inprogress():
            try:
                if self._state is RelayState.GREETING:
                    self._limit(self._settings.greeting_limit_s)
                self.stream_data(first)
                await self._greeted.wait()
                if self._state is RelayState.DIALLING:
                    await self._dial(seat, viewer, accepted)
                await self._ended.wait()
            finally:
                self._happened(RelayEvent.EVICTED)  # nothing, unless this task was cancelled
        BYTES.labels("in").inc(self.bytes_in)
        BYTES.labels("out").inc(self.bytes_out)

    def evict(self, reason: str) -> None:
        """End the stream for that reason; its display suspends itself."""
        self._happened(RelayEvent.EVICTED, because=reason)

    def cut(self, reason: str) -> None:
        """The same without close_notify to the client, which then takes its link for lost."""
        # Aborted first: a client that sees TLS end in order takes its session for ended, and does
        # not come back for it.
        self._stream.abort()
        self.evict(reason)

    async def _dial(self, seat: Seat, viewer: Viewer, accepted: bytes) -> None:
        # Paused: there is no guest yet that could hold the client back. Dialers have limits.
        self._limit(None)
        self._stream.pause_reading()
        try:
            guest = await self._dialer.dial(seat, viewer, self)
        except FarmError as error:
            log.warning("display_unreachable", extra={"vm": seat.vm_id, "because": str(error)})
            timed_out = isinstance(error, TimedOut)
            if isinstance(error, Unavailable):  # its node may just have died: as in `guest_away`
                self._stream.abort()
            self._happened(RelayEvent.TIME_UP if timed_out else RelayEvent.DIAL_FAILED)
            return
        if self._state is not RelayState.DIALLING:  # evicted, or one of the ends has left
            guest.abort()
            return
        self._guest = guest
        if self._full:
            guest.pause_reading()
        if accepted:
            self._stream.write(accepted)
        self._happened(RelayEvent.DIALLED)
        self._stream.resume_reading()  # first: what was sent early may be too much for the guest
        self.stream_data(bytes(self._early))
        if self._early_drawn:
            self.guest_data(bytes(self._early_drawn))
        self._early.clear()
        self._early_drawn.clear()

    def stream_data(self, data: bytes) -> None:
        """The client sent this."""
        if self._copying:
            self.bytes_in += len(data)
            # Small records come in bunches. One write per iteration of the loop spares a system
            # call for each, and delays none by more than that iteration.
            if not self._waiting:
                self._tick_batch.call(self._pass_on)
            self._waiting.append(data)
        elif self._state in (RelayState.GREETING, RelayState.DIALLING):
            # At most one greeting and what fits behind it in a read: `_dial` pauses the client.
            self._early += data
            if self._state is RelayState.GREETING:
                self._greet()

    def guest_data(self, data: bytes) -> None:
        """The guest sent this."""
        if self._state is RelayState.DIALLING:
            self._early_drawn += data
            return
        self.bytes_out += len(data)
        self._stream.write_soon(data)

    def stream_opened(self) -> None:
        """Never called: it happens before a relay takes over."""

    def stream_moved(self, _before: str) -> None:
        """Never called: it happens before a relay takes over."""

    def stream_ready(self) -> None:
        """Never called: it happens before a relay takes over."""

    def stream_eof(self) -> None:
        """The client sends no more."""
        self._happened(RelayEvent.CLIENT_EOF)

    def stream_lost(self) -> None:
        """The client's connection is gone."""
        self.stream_is_lost = True
        self._happened(RelayEvent.CLIENT_LOST)

    def stream_full(self) -> None:
        """The client reads slower than the guest writes."""
        # Neither end is read while the other one is behind, so nothing is queued here: the kernel's
        # buffers fill up, and nxagent or the client has to wait.
        self._full = True
        if self._guest is not None and not self._guest.is_closing():
            self._guest.pause_reading()

    def stream_drained(self) -> None:
        """The client has caught up."""
        self._full = False
        if self._guest is not None and not self._guest.is_closing():
            self._guest.resume_reading()

    def guest_eof(self) -> None:
        """The guest sends no more."""
        self._happened(RelayEvent.GUEST_EOF)

    def guest_lost(self) -> None:
        """The guest's connection is gone."""
        self._guest = None
        self._happened(RelayEvent.GUEST_LOST)

    def guest_away(self) -> None:
        """The guest's node is gone: its desktop may run on, or start on another one."""
        self._guest = None
        if self._state is not RelayState.COPYING:
            self._happened(RelayEvent.GUEST_LOST)
            return
        # Without close_notify, as in `cut`: the client is to come back for its desktop.
        self._stream.abort()
        self._happened(RelayEvent.GUEST_LOST, because="the desktop's node was lost")

    def guest_full(self) -> None:
        """The guest reads slower than the client writes."""
        self._stream.pause_reading()

    def guest_drained(self) -> None:
        """The guest has caught up."""
        self._stream.resume_reading()

    def _greet(self) -> None:
        try:
            if greeting_length(self._early) is not None:
                self._happened(RelayEvent.GREETED)
        except BadGreeting as error:
            self._happened(RelayEvent.BAD_GREETING, because=str(error))

    def _happened(self, event: RelayEvent, *, because: str = "") -> None:
        before = self._state
        after = step(before, event)
        # An event that means nothing here, such as the loss of an end that was closed by us.
        if after is None:
            return
        self._state = after
        self._copying = after is RelayState.COPYING
        match after:
            case RelayState.DIALLING:
                self._greeted.set()
            case RelayState.CLIENT_DONE:
                self._finish_guest()
            case RelayState.GUEST_DONE:
                # The client gets what the guest sent last, but cannot hold the relay for ever.
                self._limit(self._settings.rest_limit_s)
                self._stream.close()
            case RelayState.ENDED:
                self.reason = because or reason(before, event)
                self._end()
            case _:
                pass

    def _finish_guest(self) -> None:
        # nxagent suspends when it sees the end of the stream, and may have more to send until then.
        self._limit(self._settings.rest_limit_s)
        self._pass_on()
        if self._guest is not None and not self._guest.is_closing():
            self._guest.write_eof()

    def _pass_on(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting and self._guest is not None and not self._guest.is_closing():
            self._guest.write(b"".join(waiting))

    def _end(self) -> None:
        self._limit(None)
        self._stream.close()
        if self._guest is not None:
            # What the guest would not take by now is of no use to a display that suspends.
            self._guest.abort()
        self._greeted.set()
        self._ended.set()

    def _limit(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if seconds is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(seconds, self._happened, RelayEvent.TIME_UP)
