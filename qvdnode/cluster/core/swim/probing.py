"""Probes one member after another: first directly, then through helpers and over TCP."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from qvdnode.cluster.core.swim.effects import ProbeTimeout, RelayTimeout, UdpUnanswered
from qvdnode.cluster.core.swim.knowledge import Knowledge
from qvdnode.cluster.core.swim.members import Member, Members
from qvdnode.cluster.core.swim.outbox import Outbox
from qvdnode.cluster.core.swim.timing import Timing
from qvdnode.wire.swim import (
    SEQUENCE_MAX,
    Ack,
    Address,
    Incarnation,
    IndirectPing,
    MemberState,
    Message,
    Nack,
    Ping,
)

if TYPE_CHECKING:
    from random import Random

RELAYS_MAX: Final = 1024
"""How many pings for other members may wait for their answer at one time."""

SUSPECTS_REMINDED: Final = 3
"""How many suspects hear in each tick that they are suspect."""


@dataclass(slots=True)
class Probe:
    """A probe that is under way."""

    sequence: int
    target: str
    incarnation: Incarnation
    """Incarnation of the target when the probe began; no later process of its name is accused."""
    helpers: set[str] = field(default_factory=set)
    """The members that were asked to ping the target."""
    nacks: int = 0
    stream: int = 0
    """The number of the ping over TCP; 0 before there is one."""
    answered: bool = False
    answered_over_tcp: bool = False


@dataclass(frozen=True, slots=True)
class Relay:
    """A ping on behalf of another member."""

    requester: Address
    sequence: int
    """The number in the requester's message."""
    target: str


class Prober:
    """This member's own probes, and its pings on behalf of others."""

    def __init__(
        self,
        knowledge: Knowledge,
        members: Members,
        outbox: Outbox,
        timing: Timing,
        rng: "Random",
    ) -> None:
        self._knowledge = knowledge
        self._members = members
        self._outbox = outbox
        self._timing = timing
        self._sequence = rng.randint(1, SEQUENCE_MAX)
        self._probe: Probe | None = None
        self._ticks_left = 0
        self._relays: dict[int, Relay] = {}

    def tick(self) -> None:
        """Conclude the current probe and begin the next; a bad health score skips ticks."""
        probed = None
        self._ticks_left -= 1
        if self._ticks_left <= 0:
            self._conclude()
            self._ticks_left = self._knowledge.health.score + 1
            probed = self._members.next_to_probe()
            if probed is not None:
                self._begin(probed)
        self._remind_suspects(probed)

    def abandon(self) -> None:
        """Drop the current probe: this process was blocked and may have missed the answer."""
        self._probe = None

    def timed_out(self, timer: ProbeTimeout) -> None:
        """Ask helpers and try TCP, if the current probe still has no answer."""
        probe = self._probe
        if probe is None or probe.sequence != timer.sequence or probe.answered:
            return
        member = self._members.get(probe.target)
        if member is None:
            return
        address = member.record.address
        for helper in self._members.some_up(self._timing.indirect_probes, without=probe.target):
            probe.helpers.add(helper.record.name)
            request = IndirectPing(probe.sequence, probe.target, address)
            self._send(helper.record.address, request)
        limit_s = self._timing.probe_interval_s - self._timing.probe_timeout_s
        ping = Ping(probe.sequence, probe.target)
        probe.stream = self._outbox.open_stream(address, ping, limit_s)

    def hear_ack(self, ack: Ack, sender: str) -> None:
        """Take an answer to a probe, or pass on an answer to a ping for another member."""
        probe = self._probe
        if probe is not None and ack.sequence == probe.sequence:
            if sender == probe.target or sender in probe.helpers:
                probe.answered = True
            return
        relay = self._relays.get(ack.sequence)
        if relay is not None and sender == relay.target:
            del self._relays[ack.sequence]
            self._send(relay.requester, Ack(relay.sequence))

    def hear_nack(self, nack: Nack, sender: str) -> None:
        """Count a helper that answered, but got no answer from the target."""
        probe = self._probe
        if probe is not None and nack.sequence == probe.sequence and sender in probe.helpers:
            probe.nacks += 1

    def hear_stream(self, number: int, messages: tuple[Message, ...], sender: str) -> None:
        """Take an answer over TCP."""
        probe = self._probe
        if probe is not None and number == probe.stream and sender == probe.target:
            probe.answered_over_tcp = Ack(probe.sequence) in messages

    def relay(self, request: IndirectPing, requester: Address) -> None:
        """Ping a member on behalf of another one."""
        if len(self._relays) >= RELAYS_MAX:
            return
        sequence = self._next_sequence()
        self._relays[sequence] = Relay(requester, request.sequence, request.target)
        self._send(request.address, Ping(sequence, request.target))
        self._outbox.schedule(RelayTimeout(sequence), self._timing.relay_timeout_s)

    def relay_timed_out(self, timer: RelayTimeout) -> None:
        """Tell the requester that the target did not answer, if so."""
        relay = self._relays.pop(timer.sequence, None)
        if relay is not None:
            self._send(relay.requester, Nack(relay.sequence))

    def _begin(self, member: Member) -> None:
        self._probe = Probe(self._next_sequence(), member.record.name, member.record.incarnation)
        ping = Ping(self._probe.sequence, member.record.name)
        self._outbox.schedule(ProbeTimeout(self._probe.sequence), self._timing.probe_timeout_s)
        if member.record.state is MemberState.ALIVE:
            self._send(member.record.address, ping)
        else:
            # A suspect must hear of the suspicion at once, to refute it.
            accusation = member.as_message(self._knowledge.own_name)
            self._send(member.record.address, accusation, ping)

    def _remind_suspects(self, probed: Member | None) -> None:
        # A suspect that was cut off for a moment may have missed every rumour of the suspicion, and
        # in a small farm nobody may happen to probe it before the suspicion is over.
        for member in self._members.some_suspects(SUSPECTS_REMINDED):
            if member is not probed:  # which hears it with the ping
                self._send(member.record.address, member.as_message(self._knowledge.own_name))

    def _conclude(self) -> None:
        probe, self._probe = self._probe, None
        if probe is None:
            return
        if probe.answered or probe.answered_over_tcp:
            self._knowledge.health.improve()
            if not probe.answered:
                self._outbox.notify(UdpUnanswered(probe.target))
            return
        # Helpers that sent not even a Nack suggest that this member's own network is at fault.
        missing = len(probe.helpers) - probe.nacks
        self._knowledge.health.worsen(missing if probe.helpers else 1)
        self._knowledge.accuse(probe.target, probe.incarnation)

    def _next_sequence(self) -> int:
        self._sequence = self._sequence % SEQUENCE_MAX + 1
        return self._sequence

    def _send(self, address: Address, *messages: Message) -> None:
        self._outbox.send(address, messages, self._timing.retransmit_limit(self._members.size))
