"""The stream of one client over one hop: opened by the node of the client, relayed to the display
by the node that runs the desktop (docs/peer-protocol.md)."""

import logging
from collections.abc import Callable

from qvdnode.model.errors import FarmError, Invalid, TimedOut, Unavailable
from qvdnode.model.ids import NodeId
from qvdnode.model.seat import Seat, Viewer
from qvdnode.peer.calls import OPEN_STREAM, OpenStream, key_of
from qvdnode.peer.given_seats import GivenSeats
from qvdnode.peer.limits import LinkLimits
from qvdnode.peer.ports import PeerConnection, PeerDialer, Purpose
from qvdnode.proxy.guest_end import keep_alive
from qvdnode.proxy.ports import GuestDialer, GuestLink, GuestOwner
from qvdnode.proxy.relay import Relay
from qvdnode.proxy.settings import RelaySettings
from qvdnode.runtime.tick_batch import TickBatch
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.tls.stream import TlsStream
from qvdnode.tls.stream_pipe import StreamPipe
from qvdnode.wire.peer_errors import error_of, failure_of
from qvdnode.wire.peer_frames import (
    LENGTH_BYTES,
    Answer,
    Call,
    Failure,
    Frame,
    FrameError,
    body_bytes,
    decode,
    encode,
)
from qvdnode.wire.typed_values import BadValue, from_plain, to_plain

log = logging.getLogger(__name__)

CALL_ID = 1


class SeatDialer:
    """Satisfies proxy.ports.GuestDialer for displays of this node and of others."""

    def __init__(
        self,
        here: Callable[[], NodeId | None],
        local: GuestDialer,
        peers: PeerDialer,
        relay: RelaySettings,
        limits: LinkLimits,
    ) -> None:
        self._here = here
        self._local = local
        self._peers = peers
        self._relay = relay
        self._limits = limits

    async def dial(self, seat: Seat, viewer: Viewer, owner: GuestOwner) -> GuestLink:
        """As GuestDialer."""
        if seat.node_id is None or seat.node_id == self._here():
            return await self._local.dial(seat, viewer, owner)
        pipe = (await self._peers.dial(seat.node_id, Purpose.STREAM)).pipe
        try:
            await self._open(pipe, OpenStream(key_of(seat), viewer), seat.node_id)
        except BaseException:
            pipe.abort()
            raise
        if pipe.stream.transport is not None:
            # This connection has no pings of its own. The kernel has to find out that the other
            # host is gone.
            keep_alive(pipe.stream.transport, self._limits.stream_silence_s)
        pipe.release(PeerGuestEnd(owner, pipe.stream))
        return pipe.stream

    async def _open(self, pipe: StreamPipe, opening: OpenStream, node_id: NodeId) -> None:
        pipe.write(encode(Call(CALL_ID, OPEN_STREAM.name, to_plain(opening))))
        # The other node dials the display before it answers.
        limit_s = self._limits.opening_limit_s + self._relay.dial_limit_s
        try:
            async with TimeLimit(limit_s):
                answer = await read_frame(pipe)
        except TimeoutError as error:
            raise TimedOut(f"Node {node_id} did not open the stream in time.") from error
        except (ConnectionError, EOFError, FrameError) as error:
            raise Unavailable(f"Node {node_id} did not open the stream: {error}.") from error
        if isinstance(answer, Failure):
            raise error_of(answer)
        if not isinstance(answer, Answer):
            raise Unavailable(f"Node {node_id} did not open the stream: it sent another frame.")


class PeerGuestEnd:
    """Satisfies tls.stream.StreamOwner: the guest's end of a relay, which is another node."""

    __slots__ = (
        "_owner", "_stream", "stream_data", "stream_drained", "stream_full", "stream_lost",
    )  # fmt: skip

    def __init__(self, owner: GuestOwner, stream: TlsStream) -> None:
        self._owner = owner
        self._stream = stream
        # One call per message in place of two: what the stream calls is the relay's own.
        self.stream_data = owner.guest_data
        self.stream_lost = owner.guest_away
        self.stream_full = owner.guest_full
        self.stream_drained = owner.guest_drained

    def stream_eof(self) -> None:
        """The display has closed, or the node that runs it has died."""
        if self._stream.truncated:
            self._stream.abort()
        else:
            self._owner.guest_eof()

    def stream_opened(self) -> None:
        """Never called: the hello is over."""

    def stream_moved(self, before: str) -> None:
        """Never called: no load balancer stands between nodes."""

    def stream_ready(self) -> None:
        """Never called: the hello is over."""


class StreamService:
    """Satisfies peer.ports.PeerService for streams."""

    def __init__(
        self,
        seats: GivenSeats,
        displays: GuestDialer,
        tick_batch: TickBatch,
        relay: RelaySettings,
        limits: LinkLimits,
    ) -> None:
        """`displays` dials those of this node."""
        self._seats = seats
        self._displays = displays
        self._tick_batch = tick_batch
        self._relay = relay
        self._limits = limits

    async def serve(self, connection: PeerConnection) -> None:
        """Relay one stream; returns when the connection is over, closed."""
        try:
            await self._serve(connection)
        finally:
            connection.pipe.abort()

    async def _serve(self, connection: PeerConnection) -> None:
        node_id, pipe = connection.node_id, connection.pipe
        try:
            async with TimeLimit(self._limits.opening_limit_s):
                call = await read_frame(pipe)
        except (TimeoutError, ConnectionError, EOFError, FrameError) as error:
            because = str(error) or "it said nothing in time"
            log.warning("peer_stream_not_opened", extra={"node": node_id, "because": because})
            return
        if not isinstance(call, Call):
            log.warning("peer_stream_not_opened", extra={"node": node_id, "because": "not a call"})
            return
        # Made first: from `begin_stream` on, whoever takes the seat back cuts this relay.
        relay = Relay(pipe.stream, self._tick_batch, self._relay, self._displays, greeted=True)
        try:
            opening = _opening(call)
            seat = self._seats.begin_stream(node_id, opening, relay.cut)
        except FarmError as error:
            log.warning("peer_stream_refused", extra={"node": node_id, "because": str(error)})
            pipe.write(encode(failure_of(call.id, error)))
            pipe.close()
            await self._until_closed(pipe)
            return
        facts = {"vm": seat.vm_id, "node": node_id}
        log.info("peer_stream_begun", extra=facts)
        try:
            pipe.release(relay)
            await relay.run(seat, opening.viewer, accepted=encode(Answer(call.id, None)))
        finally:
            self._seats.end_stream(opening.seat)
            log.info("peer_stream_ended", extra={**facts, "because": relay.reason})
        await self._until_closed(pipe)

    async def _until_closed(self, pipe: StreamPipe) -> None:
        """Give the other node a while to take what it was sent."""
        try:
            async with TimeLimit(self._relay.rest_limit_s):
                await pipe.closed()
        except TimeoutError:
            log.info("peer_stream_cut", extra={"because": "the other node did not take the rest"})


async def read_frame(pipe: StreamPipe) -> Frame | None:
    """The next frame of a stream that is not open yet.

    Raises FrameError, ConnectionError, EOFError; the caller limits the time.
    """
    size = body_bytes(await pipe.read_exactly(LENGTH_BYTES))
    return decode(await pipe.read_exactly(size))


def _opening(call: Call) -> OpenStream:
    if call.name != OPEN_STREAM.name:
        raise Invalid("A connection for a stream begins with 'open_stream'.")
    try:
        opening: OpenStream = from_plain(OpenStream, call.arguments)
    except BadValue as error:
        raise Invalid(f"'open_stream' cannot be read: {error}.") from error
    return opening
