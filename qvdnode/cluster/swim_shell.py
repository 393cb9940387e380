"""Runs the membership machine on an event loop: a UDP socket, TCP streams and timers.

Packets without a valid key are counted and never logged one by one: anybody can send many.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import Final

from qvdnode.cluster.core.load_table import INTERVAL_S as LOAD_INTERVAL_S
from qvdnode.cluster.core.swim.effects import (
    Effect,
    Event,
    Notify,
    OpenStream,
    Schedule,
    SendDatagram,
    Stalled,
    Timer,
)
from qvdnode.cluster.core.swim.machine import Swim
from qvdnode.cluster.core.swim.timing import Timing
from qvdnode.cluster.gossip_port import GossipPort
from qvdnode.cluster.keyring import NONCE_BYTES, Forged, Keyring
from qvdnode.cluster.load_exchange import LoadExchange
from qvdnode.cluster.reach import answer_to, is_question
from qvdnode.cluster.swim_stream import (
    InboundStream,
    TooLarge,
    ask,
    seal_datagram,
    seal_message,
)
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.supervise import Supervisor, contained
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.telemetry.metrics import Counter, Gauge
from qvdnode.tls.acceptor import Acceptor
from qvdnode.wire.load_record import is_load
from qvdnode.wire.swim import Address, SwimError

REFUSED = Counter(
    "qvdnode_gossip_refused", "Membership packets and streams refused, by reason", ["reason"]
)
DROPPED = Counter(
    "qvdnode_gossip_dropped", "Own packets and streams dropped because a queue was full", ["kind"]
)
STALLS = Counter("qvdnode_gossip_stalls", "Times that the membership's thread was blocked")
UP = Gauge("qvdnode_gossip_members_up", "Members of the farm that are up, this one included")
HEALTH = Gauge("qvdnode_gossip_health", "Lifeguard's local health score of this node: 0 is healthy")

INBOUND_MAX: Final = 64
OUTBOUND_MAX: Final = 16


class SwimShell(asyncio.DatagramProtocol):
    """One member on the running loop, from `run` until `stop`."""

    def __init__(  # noqa: PLR0913 - each is a part of the member that it runs
        self,
        swim: Swim,
        timing: Timing,
        keyring: Keyring,
        clock: Clock,
        told: Callable[[Event], None],
        loads: LoadExchange,
        reach: Keyring | None = None,
    ) -> None:
        """With `reach` it answers those that ask whether datagrams arrive (cluster.reach)."""
        self.keyring = keyring
        self._reach = reach
        self._swim = swim
        self._loads = loads
        self._timing = timing
        self._clock = clock
        self._told = told
        self._scope = Supervisor("gossip")
        self._udp: asyncio.DatagramTransport | None = None
        self._inbound: set[InboundStream] = set()
        self._outbound = 0
        self._timers: set[asyncio.TimerHandle] = set()
        self._failed: asyncio.Future[None] | None = None
        self._paused = False
        """Whether the transport's send buffer is full (64 KiB)."""

    async def run(
        self, port: GossipPort, seeds: Sequence[Address], began: Callable[[], None]
    ) -> None:
        """Call `began` and be a member on that port, which is closed then, until cancelled.

        Raises RuntimeError when the machine failed.
        """
        loop = asyncio.get_running_loop()
        self._failed = loop.create_future()
        try:
            self._udp, _ = await loop.create_datagram_endpoint(lambda: self, sock=port.udp)
            acceptor = Acceptor(port.tcp, self._accept, lambda: len(self._inbound) < INBOUND_MAX)
            async with self._scope as scope:
                _ = scope.essential("accept", acceptor.run())
                _ = scope.essential("load", self._exchange_load())
                self._take(self._swim.start(seeds, self._clock.monotonic_s()))
                began()
                await self._failed
        finally:
            port.tcp.close()
            self._close()

    def announce(self, metadata: bytes) -> None:
        """Spread new metadata of this member; raises ValueError above 512 bytes."""
        self._take(self._swim.announce(metadata, self._clock.monotonic_s()))

    def leave(self) -> None:
        """Tell the others that this member leaves; `leave_spread` says when enough know it."""
        self._take(self._swim.leave(self._clock.monotonic_s()))

    def leave_spread(self) -> bool:
        """Whether all rumours were sent often enough, or there is no other member."""
        return self._swim.rumours == 0 or self._swim.members.size == 1

    def set_seeds(self, seeds: Sequence[Address]) -> None:
        """Replace the addresses at which to look for members."""
        self._swim.set_seeds(seeds)

    # What asyncio calls

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take a packet from anybody."""
        # Decryption costs time per byte, so a packet that no member sends is refused before it.
        if len(data) > self._timing.packet_max_bytes:
            self.refused("too_large")
            return
        # A bug in the machine costs one packet, not the socket; a failed timer ends the membership.
        with contained("membership_packet_failed"):
            try:
                if self._reach is not None and is_question(data):
                    self._answer_reach(data, addr, self._reach)
                    return
                plain = self.keyring.open(data)
                now_s = self._clock.monotonic_s()
                if is_load(plain):
                    self._loads.received(plain, now_s)
                else:
                    self._take(self._swim.handle_datagram(plain, Address(*addr[:2]), now_s))
            except Forged:
                self.refused("forged")
            except SwimError as error:
                self.refused(error.refusal)

    def _answer_reach(self, data: bytes, addr: tuple[str, int], ring: Keyring) -> None:
        answer = answer_to(data, ring, secrets.token_bytes(NONCE_BYTES))
        if self._udp is not None and not self._paused:
            self._udp.sendto(answer, addr)

    def error_received(self, error: Exception) -> None:
        """Ignore an undelivered packet: the probe that sent it times out."""

    def pause_writing(self) -> None:
        """Drop packets from now on: the send buffer is full."""
        # SWIM expects lost packets. A queue would deliver old news late and grow without bound.
        self._paused = True

    def resume_writing(self) -> None:
        """Send packets again."""
        self._paused = False

    # What inbound streams call

    def answer(self, plain: bytes, source: tuple[str, int]) -> bytes | None:
        """Return the answer to a stream's message, or None when it was refused."""
        try:
            effects, answer = self._swim.handle_stream_request(
                plain, Address(*source), self._clock.monotonic_s()
            )
        except SwimError as error:
            self.refused(error.refusal)
            return None
        self._take(effects)
        return answer

    def refused(self, reason: str) -> None:
        """Count a refused packet or stream."""
        REFUSED.labels(reason).inc()

    async def _exchange_load(self) -> None:
        while True:
            await self._clock.sleep(LOAD_INTERVAL_S)
            with contained("load_exchange_failed"):
                datagram = self._loads.round(self._swim.members, self._clock.monotonic_s())
                if datagram is not None:
                    self._send(datagram.address, datagram.data)

    # How effects are done

    def _take(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case SendDatagram(address, data):
                    self._send(address, data)
                case OpenStream():
                    self._open(effect)
                case Schedule(timer, delay_s):
                    self._schedule(timer, delay_s)
                case Notify(event):
                    self._tell(event)
        HEALTH.set(self._swim.health)

    def _send(self, address: Address, data: bytes) -> None:
        if self._udp is None or self._udp.is_closing():
            return
        if self._paused:
            DROPPED.labels("datagram").inc()
        else:
            self._udp.sendto(seal_datagram(self.keyring, data), address)

    def _schedule(self, timer: Timer, delay_s: float) -> None:
        def due() -> None:
            self._timers.discard(handle)
            with contained("membership_timer_failed") as attempt:
                self._take(self._swim.handle_timer(timer, self._clock.monotonic_s()))
            if attempt.failed and self._failed is not None and not self._failed.done():
                # The failed handler has not scheduled its next run. A member without timers
                # still answers pings, so the others take it for alive, but it probes nobody.
                self._failed.set_exception(RuntimeError("the membership failed"))

        handle = asyncio.get_running_loop().call_later(delay_s, due)
        self._timers.add(handle)

    def _tell(self, event: Event) -> None:
        if isinstance(event, Stalled):
            STALLS.inc()
        UP.set(self._swim.members.size)
        self._told(event)

    def _accept(self) -> InboundStream:
        stream = InboundStream(self, self._inbound.discard)
        self._inbound.add(stream)
        return stream

    def _open(self, effect: OpenStream) -> None:
        # Each stream holds a descriptor for up to 10 s, and a partition makes all of them hang.
        if self._outbound >= OUTBOUND_MAX:
            DROPPED.labels("stream").inc()
            self._swim.handle_stream_failure(effect.number)
            return
        self._outbound += 1
        _ = self._scope.isolated("stream", self._ask(effect))

    async def _ask(self, effect: OpenStream) -> None:
        message = seal_message(self.keyring, effect.data)
        try:
            async with TimeLimit(effect.limit_s):
                # The keyring may change before the answer comes, so it is read again then.
                plain = await ask(*effect.address, message, lambda: self.keyring)
            now_s = self._clock.monotonic_s()
            self._take(self._swim.handle_stream_answer(effect.number, plain, now_s))
        except (OSError, EOFError, TimeoutError):
            self._swim.handle_stream_failure(effect.number)
        except (Forged, TooLarge):
            self.refused("forged")
            self._swim.handle_stream_failure(effect.number)
        except SwimError as error:
            self.refused(error.refusal)
        finally:
            self._outbound -= 1

    def _close(self) -> None:
        for timer in self._timers:
            timer.cancel()
        for stream in tuple(self._inbound):
            stream.abort()
        if self._udp is not None:
            self._udp.close()
