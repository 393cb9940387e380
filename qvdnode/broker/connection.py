"""One client's connection: the I/O around wire.qvd_conversation. handlers.py answers requests."""

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from qvdnode.broker.boundary import answered
from qvdnode.broker.handlers import Handlers, Request
from qvdnode.broker.login import ConnectionLogin
from qvdnode.broker.ports import Watcher
from qvdnode.broker.settings import BrokerSettings
from qvdnode.model.errors import FarmError
from qvdnode.proxy.ports import GuestDialer
from qvdnode.proxy.relay import Relay
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.tick_batch import TickBatch
from qvdnode.session.connect import SessionTicket
from qvdnode.session.desktops import Desktops
from qvdnode.telemetry.correlation import correlated
from qvdnode.tls.server_stream import ServerStream
from qvdnode.wire.qvd1 import BadHead, RequestHead
from qvdnode.wire.qvd_answers import sentence
from qvdnode.wire.qvd_conversation import Conversation, State

log = logging.getLogger(__name__)

PROGRESS_EVERY_S: Final = 2.0
"""How often a waiting client gets a progress line: some clients give up on a silent connection."""


@dataclass(frozen=True, slots=True)
class ConnectionParts:
    """What all connections of an endpoint share."""

    handlers: Handlers
    desktops: Desktops
    new_login: Callable[[str], ConnectionLogin]
    clock: Clock
    settings: BrokerSettings
    tick_batch: TickBatch
    dialer: GuestDialer


class Connection:
    """Satisfies tls.stream.StreamOwner and session.ports.ClientEnd."""

    __slots__ = (
        "_conversation",
        "_full",
        "_login",
        "_parts",
        "_relay",
        "_repeat",
        "_sentence",
        "_stream",
        "_taken_over",
        "_task",
        "_watcher",
        "authenticated",
        "deadline_s",
    )  # fmt: skip

    def __init__(self, parts: ConnectionParts, watcher: Watcher) -> None:
        self.deadline_s = parts.clock.monotonic_s() + parts.settings.head_limit_s
        """When the endpoint calls `time_up`, by the monotonic clock."""
        self.authenticated = False
        """Whether somebody has logged in, or a request that may do so is being answered."""
        self._parts = parts
        self._watcher = watcher
        self._conversation = Conversation()
        self._stream: ServerStream | None = None
        self._login: ConnectionLogin | None = None
        self._task: asyncio.Task[None] | None = None
        self._relay: Relay | None = None
        self._repeat: asyncio.Handle | None = None
        self._sentence = ""
        self._taken_over = ""
        self._full = False

    def attach(self, stream: ServerStream) -> None:
        """Set the stream that this connection owns, before the loop uses it."""
        self._stream = stream

    @property
    def source(self) -> str:
        """The client's address."""
        return self._tls.peer

    def stream_opened(self) -> None:
        """A client has connected."""
        self._watcher.connection_opened(self)

    def stream_moved(self, before: str) -> None:
        """The load balancer has named the client."""
        self._watcher.connection_moved(self, before)

    def stream_ready(self) -> None:
        """Do nothing: the time limit for the first head also covers the TLS handshake."""

    def stream_data(self, data: bytes) -> None:
        """The client sent this."""
        try:
            head = self._conversation.receive(data)
        except BadHead as error:
            self._refuse(error)
            return
        if head is not None:
            self._begin(head)
        # A head that has begun must be whole in time. The deadline is only ever moved nearer, so a
        # client gains nothing by sending a byte now and then.
        elif self._conversation.mid_head and self.deadline_s > self._head_deadline_s():
            self.deadline_s = self._head_deadline_s()

    def stream_eof(self) -> None:
        """Close too: no QVD client half-closes its connection, so this one has left."""
        self._client_left()
        self._hang_up()

    def stream_lost(self) -> None:
        """The connection is gone."""
        if self._tls.broken:
            self._watcher.connection_refused(self._tls.broken_event, self, self._tls.broken)
        # The stream reports the loss once, to its owner of the moment; while a relay has it, see
        # `_hand_over`.
        self._client_left()
        self._watcher.connection_lost(self)

    def stream_full(self) -> None:
        """The client does not read its answers."""
        # Whoever does not take answers gets to ask no more: each request would add another one.
        self._full = True
        self._tls.pause_reading()
        if self._task is None:
            self._rest()

    def stream_drained(self) -> None:
        """Read again: the client has read its answers."""
        self._full = False
        self._tls.resume_reading()
        if self._task is None:
            request = self._next_request()
            if request is not None:
                self._begin(request)

    def time_up(self) -> None:
        """The deadline has passed: of a head, of idleness, or of close_notify."""
        # To close in order waits for the client once more, and it has had its time.
        if self._conversation.state is State.CLOSING or self._full:
            self._tls.abort()
        elif self._conversation.mid_head:
            self._refuse(BadHead(400, "The request was not sent in time."))
        else:
            if self._login is None:
                self._watcher.connection_refused("connection_timed_out", self, "no request came")
            self._conversation.client_left()
            self._hang_up()

    def evict(self, reason: str) -> None:
        """End the client's session: another client took it over, or the VM or the node stops."""
        if self._relay is not None:
            self._relay.evict(reason)
        elif self._task is not None:
            # A request is being served, such as one that starts a desktop: `_converse` answers it.
            self._taken_over = reason
            self._task.cancel()
        else:
            self._hang_up()

    def cut(self, reason: str) -> None:
        """End the client's session like a lost link, so that the client reconnects.

        A client that has no desktop yet gets the reason as its answer instead.
        """
        if self._relay is not None:
            self._relay.cut(reason)
        else:
            self.evict(reason)

    def drop(self) -> None:
        """End the connection at once."""
        self._tls.abort()

    @property
    def _tls(self) -> ServerStream:
        if self._stream is None:
            raise RuntimeError("attach() comes first")
        return self._stream

    def _begin(self, head: RequestHead) -> None:
        if self._login is None:
            self._login = self._parts.new_login(self.source)
        if not self.authenticated:
            self.authenticated = True
            self._watcher.connection_authenticated(self)
        self._watcher.connection_busy(self)
        # Off while a request is served: a start may take a minute, and has limits of its own.
        self.deadline_s = math.inf
        self._task = self._watcher.spawn("request", self._converse(head))

    async def _converse(self, head: RequestHead) -> None:
        """Answer this request and the pipelined ones behind it."""
        request: RequestHead | None = head
        try:
            while request is not None:
                with correlated():
                    await self._serve(request)
                request = self._next_request()
        except asyncio.CancelledError:
            # Only `evict` leaves a reason. Otherwise the client is gone or the node ends: there is
            # nobody to answer.
            if not self._taken_over:
                raise
            self._quiet()
            await self._after_progress()
            if self._conversation.state in (State.ANSWERING, State.WAITING):
                self._tls.write(self._conversation.answer(sentence(503, self._taken_over)))
            self._end()
        finally:
            self._task = None

    async def _serve(self, head: RequestHead) -> None:
        if self._login is None:
            raise RuntimeError("a request is served after `_begin`")
        request = Request(head, self._login, self.source, self._progress, self)
        try:
            outcome = await answered(self._parts.handlers.handle(request), self._refused)
        finally:
            self._quiet()
        if isinstance(outcome, SessionTicket):
            # The 101 is the last answer on this connection: from there on it carries NX.
            await self._hand_over(outcome)
            return
        await self._after_progress()
        self._tls.write(self._conversation.answer(outcome))
        if self._conversation.state is State.CLOSING:
            self._end()

    def _next_request(self) -> RequestHead | None:
        if self._conversation.state is not State.READING:
            return None
        request = None
        if not self._full:
            try:
                request = self._conversation.next_request()
            except BadHead as error:
                self._refuse(error)
                return None
        if request is None:
            self._rest()
        return request

    def _rest(self) -> None:
        """Set the deadline for the next head, or for the client to read its answers."""
        if self._conversation.state is not State.READING:
            return
        limit_s = self._parts.settings.idle_limit_s
        if self._conversation.mid_head and not self._full:
            limit_s = self._parts.settings.head_limit_s
        self.deadline_s = self._parts.clock.monotonic_s() + limit_s
        if self.authenticated and self._login is not None:
            if self._login.user_id is not None:
                self._watcher.connection_rests(self, self._login.user_id)
            else:
                self.authenticated = False
                self._watcher.connection_unauthenticated(self)

    async def _hand_over(self, ticket: SessionTicket) -> None:
        """Send the 101 and relay until the end; always give the ticket back."""
        stream = self._tls
        parts = self._parts
        relay = Relay(stream, parts.tick_batch, parts.settings.relay, parts.dialer)
        self._relay = relay
        try:
            await self._after_progress()
            stream.write(self._conversation.upgrade(ticket.slave_key))
            log.info("stream_begun", extra={"vm": ticket.seat.vm_id, "source": self.source})
            # What the client sent behind its request is the beginning of its NX stream.
            first = self._conversation.take_stream()
            await relay.run(ticket.seat, ticket.viewer, first, full=self._full)
        finally:
            # Also when the client left before the 101: a seat that nobody gives back would make the
            # next connect of this user evict a client that is not there.
            reason = relay.reason or "the client disconnected"
            self._parts.desktops.ended(
                ticket, reason=reason, bytes_in=relay.bytes_in, bytes_out=relay.bytes_out
            )
            log.info("stream_ended", extra={"vm": ticket.seat.vm_id, "because": reason})
            self._relay = None
            stream.owner = self
            # The relay owned the stream until here. What it was told is made up for now.
            if relay.stream_is_lost:
                self.stream_lost()
            else:
                self._conversation.client_left()
                self._hang_up()

    def _progress(self, sentence: str) -> None:
        """Send the waiting client a progress sentence: a new one soon, then every 2 s.

        Of several in one loop iteration only the newest is sent. A client reads everything written
        in one iteration at once, and some clients expect a single head in what they read.
        """
        if sentence != self._sentence:
            self._sentence = sentence
            if self._repeat is not None:
                self._repeat.cancel()
            self._repeat = asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        # Repeated although nothing is new: some clients give up on a connection that is silent.
        self._repeat = asyncio.get_running_loop().call_later(PROGRESS_EVERY_S, self._tell)
        if not self._full and self._conversation.state in (State.ANSWERING, State.WAITING):
            self._tls.write(self._conversation.progress(self._sentence))

    async def _after_progress(self) -> None:
        """Wait one loop iteration, so that the answer is not read together with the last 102."""
        if self._conversation.state is State.WAITING:
            await asyncio.sleep(0)

    def _quiet(self) -> None:
        self._sentence = ""
        if self._repeat is not None:
            self._repeat.cancel()
            self._repeat = None

    def _refused(self, error: FarmError) -> None:
        """Count the refusal: anybody can cause refusals without limit, so they share log lines."""
        known = self._login is not None and self._login.good
        event = "user_request_refused" if known else "request_refused"
        self._watcher.connection_refused(event, self, f"{error.code}: {error}")

    def _refuse(self, error: BadHead) -> None:
        self._watcher.connection_refused("head_refused", self, str(error))
        # An earlier request may still be served; its answer must not follow the refusal.
        self._cancel()
        self._tls.write(self._conversation.refuse(error))
        self._end()

    def _client_left(self) -> None:
        self._conversation.client_left()
        self._cancel()

    def _cancel(self) -> None:
        self._quiet()
        if self._task is not None:
            self._task.cancel()

    def _end(self) -> None:
        """Send close_notify after an answer, and wait a limited time for the client to close."""
        self._tls.finish()
        self._farewell()

    def _hang_up(self) -> None:
        """Close the connection; data that was written before has a limited time to arrive."""
        self._tls.close()
        self._farewell()

    def _farewell(self) -> None:
        self.deadline_s = self._parts.clock.monotonic_s() + self._parts.settings.farewell_limit_s

    def _head_deadline_s(self) -> float:
        return self._parts.clock.monotonic_s() + self._parts.settings.head_limit_s
