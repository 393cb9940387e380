"""The entry point of the membership: passes each datagram, stream message and timer to its part.

Calls raise only `SwimError`, for bytes that are refused; they have changed nothing then.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from qvdnode.cluster.core.swim.effects import (
    Effect,
    ExchangeDue,
    GossipDue,
    ProbeTimeout,
    RelayTimeout,
    Stalled,
    Tick,
    Timer,
)
from qvdnode.cluster.core.swim.gossip import Gossip
from qvdnode.cluster.core.swim.knowledge import Knowledge
from qvdnode.cluster.core.swim.members import Members
from qvdnode.cluster.core.swim.outbox import Outbox
from qvdnode.cluster.core.swim.own_record import OwnRecord
from qvdnode.cluster.core.swim.probing import Prober
from qvdnode.cluster.core.swim.repair import Repair
from qvdnode.cluster.core.swim.timing import Timing
from qvdnode.wire.swim import (
    METADATA_MAX_BYTES,
    Accusation,
    Ack,
    Address,
    Alive,
    Exchange,
    Incarnation,
    IndirectPing,
    MemberState,
    Message,
    Nack,
    Packet,
    Ping,
    Record,
    decode,
    farm_tag,
)

if TYPE_CHECKING:
    from random import Random

GUARD_ROUNDS: Final = 2
"""For how many probe intervals a member accuses nobody after it was blocked."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this member is."""

    farm: str
    """The id of the farm; packets of other farms are refused."""
    name: str
    address: Address
    """Where the others reach it."""
    epoch: int
    """The number of this start of the node's process; higher than at any earlier start."""
    instance: bytes
    """Eight random bytes, drawn by each process."""
    metadata: bytes = field(default=b"")


class Swim:
    """One member of a farm. All times are seconds of one monotonic clock."""

    def __init__(self, identity: Identity, timing: Timing, rng: "Random") -> None:
        incarnation = Incarnation(identity.epoch, identity.instance, 0)
        self._own = OwnRecord(
            Record(
                identity.name,
                identity.address,
                incarnation,
                MemberState.ALIVE,
                _checked(identity.metadata),
            )
        )
        self._tag = farm_tag(identity.farm)
        self._timing = timing
        self._rng = rng
        self._outbox = Outbox(self._tag, self._own, timing)
        self._members = Members(rng)
        gossip = Gossip(self._members, self._outbox, timing, rng)
        self._knowledge = Knowledge(self._own, self._members, gossip, self._outbox, timing)
        self._gossip = gossip
        self._prober = Prober(self._knowledge, self._members, self._outbox, timing, rng)
        self._repair = Repair(self._own, self._members, self._outbox, timing, rng)
        self._tick_due_s: float | None = None

    @property
    def own(self) -> Record:
        """This member's own record."""
        return self._own.record

    @property
    def members(self) -> Members:
        """The other members."""
        return self._members

    @property
    def rumours(self) -> int:
        """How many rumours are still to be sent."""
        return len(self._outbox.rumours)

    @property
    def health(self) -> int:
        """Lifeguard's local health score: 0 is healthy, more is worse."""
        return self._knowledge.health.score

    def start(self, seeds: Sequence[Address], now_s: float) -> list[Effect]:
        """Join through the seeds and start probing."""
        self._knowledge.now_s = now_s
        self._repair.set_seeds(seeds)
        self._repair.join()
        self._repair.begin()
        first_s = self._rng.uniform(0, self._timing.probe_interval_s)
        self._tick_due_s = now_s + first_s
        self._outbox.schedule(Tick(), first_s)
        return self._outbox.drain()

    def set_seeds(self, seeds: Sequence[Address]) -> None:
        """Replace the addresses at which to look for members."""
        self._repair.set_seeds(seeds)

    def announce(self, metadata: bytes, now_s: float) -> list[Effect]:
        """Spread new metadata of this member; raises ValueError above 512 bytes."""
        self._enter(now_s)
        self._own.announce(_checked(metadata))
        self._knowledge.spread_own()
        return self._outbox.drain()

    def leave(self, now_s: float) -> list[Effect]:
        """Leave the farm. Keep handing in timers and datagrams until the rumour has spread."""
        self._enter(now_s)
        self._own.leave()
        self._knowledge.spread_own()
        return self._outbox.drain()

    def handle_datagram(self, data: bytes, source: Address, now_s: float) -> list[Effect]:
        """Handle a datagram; raises SwimError."""
        packet = decode(data, self._tag)
        self._enter(now_s)
        notice = self._knowledge.hear_sender(packet.sender, source)
        for message in packet.messages:
            self._hear(message, packet.sender.name, source, notice)
        return self._outbox.drain()

    def handle_timer(self, timer: Timer, now_s: float) -> list[Effect]:
        """Handle a timer that is due."""
        self._enter(now_s)
        match timer:
            case Tick():
                self._tick(now_s)
            case GossipDue():
                self._gossip.round(now_s)
            case ExchangeDue():
                self._repair.exchange_due()
            case ProbeTimeout():
                self._prober.timed_out(timer)
            case RelayTimeout():
                self._prober.relay_timed_out(timer)
            case _:
                self._knowledge.suspicion_due(timer)
        return self._outbox.drain()

    def handle_stream_request(
        self, data: bytes, source: Address, now_s: float
    ) -> tuple[list[Effect], bytes | None]:
        """Handle a message on a stream from another member; return the effects and the answer.

        Raises SwimError.
        """
        packet = decode(data, self._tag)
        self._enter(now_s)
        notice = self._knowledge.hear_sender(packet.sender, source)
        answer: Message | None = None
        for message in packet.messages:
            if isinstance(message, Ping) and message.target == self._own.record.name:
                answer = Ack(message.sequence)
            elif isinstance(message, Exchange):
                # The records from before the merge go back: the other side has its own already.
                answer = self._repair.request()
                self._knowledge.merge(message.records, source=packet.sender.name, spread=True)
        if answer is None:
            return self._outbox.drain(), None
        notices = () if notice is None else (notice,)
        return self._outbox.drain(), self._outbox.message(answer, *notices)

    def handle_stream_answer(self, number: int, data: bytes, now_s: float) -> list[Effect]:
        """Handle the answer on a stream that this member opened; raises SwimError."""
        try:
            packet = decode(data, self._tag)
            self._enter(now_s)
            self._take_answer(number, packet)
        finally:
            self._repair.ended(number)
        return self._outbox.drain()

    def handle_stream_failure(self, number: int) -> None:
        """Note that a stream of this member got no answer."""
        self._repair.ended(number)

    def _take_answer(self, number: int, packet: Packet) -> None:
        sender = packet.sender.name
        self._prober.hear_stream(number, packet.messages, sender)
        for message in packet.messages:
            if isinstance(message, Exchange):
                self._repair.answered(number, message, sender, self._knowledge)
            elif isinstance(message, Alive | Accusation):
                self._hear_report(message, sender)

    def _enter(self, now_s: float) -> None:
        """Note the time, and detect that this process was blocked."""
        self._knowledge.now_s = now_s
        if self._tick_due_s is None or now_s - self._tick_due_s < self._timing.stall_s:
            return
        late_s = now_s - self._tick_due_s
        # Reported once per stall: the late tick itself comes later.
        self._tick_due_s = now_s
        self._prober.abandon()
        guard_s = GUARD_ROUNDS * self._timing.probe_interval_s
        self._knowledge.accuse_nobody_until(now_s + guard_s)
        self._outbox.notify(Stalled(late_s))

    def _tick(self, now_s: float) -> None:
        interval_s = self._timing.probe_interval_s
        self._tick_due_s = now_s + interval_s
        self._outbox.schedule(Tick(), interval_s)
        self._members.forget_left(now_s - self._timing.left_kept_s)
        if not self._own.leaving:
            self._repair.tick()
            self._prober.tick()

    def _hear(
        self, message: Message, sender: str, source: Address, notice: Alive | Accusation | None
    ) -> None:
        match message:
            case Ping():
                if message.target == self._own.record.name:
                    notices = () if notice is None else (notice,)
                    self._send(source, Ack(message.sequence), *notices)
            case Ack():
                self._prober.hear_ack(message, sender)
            case IndirectPing():
                self._prober.relay(message, source)
            case Nack():
                self._prober.hear_nack(message, sender)
            case Exchange():
                pass  # exchanges are answered on streams only: a datagram has no room for one
            case _:
                correction = self._knowledge.correction(message)
                if correction is not None:
                    self._send(source, correction)
                self._hear_report(message, sender)

    def _send(self, address: Address, *messages: Message) -> None:
        limit = self._timing.retransmit_limit(self._members.size)
        self._outbox.send(address, messages, limit)

    def _hear_report(self, message: Alive | Accusation, sender: str) -> None:
        if isinstance(message, Alive):
            self._knowledge.hear_alive(message.record, source=sender)
        else:
            self._knowledge.hear_accusation(message)


def _checked(metadata: bytes) -> bytes:
    if len(metadata) > METADATA_MAX_BYTES:
        raise ValueError(f"metadata may have {METADATA_MAX_BYTES} bytes")
    return metadata
