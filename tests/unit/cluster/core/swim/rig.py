"""One member's parts, joined as `machine.Swim` joins them, for tests of each."""

import random

from qvdnode.cluster.core.swim.effects import (
    Effect,
    Event,
    MemberChanged,
    MemberEvent,
    Notify,
    OpenStream,
    Schedule,
    SendDatagram,
    Timer,
)
from qvdnode.cluster.core.swim.gossip import Gossip
from qvdnode.cluster.core.swim.knowledge import Knowledge
from qvdnode.cluster.core.swim.members import Member, Members
from qvdnode.cluster.core.swim.outbox import Outbox
from qvdnode.cluster.core.swim.own_record import OwnRecord
from qvdnode.cluster.core.swim.probing import Prober
from qvdnode.cluster.core.swim.repair import Repair
from qvdnode.cluster.core.swim.timing import Timing
from qvdnode.wire.swim import (
    Accusation,
    Address,
    Incarnation,
    MemberState,
    Message,
    Packet,
    Record,
    Sender,
    decode,
    encode,
    encode_header,
    farm_tag,
)

FARM = "here"
TAG = farm_tag(FARM)


def address(name: str) -> Address:
    return Address(f"10.0.0.{ord(name[0])}", 8446)


def life(name: str, counter: int = 0, *, epoch: int = 1) -> Incarnation:
    return Incarnation(epoch, name[0].encode() * 8, counter)


def record(name: str, counter: int = 0, state: MemberState = MemberState.ALIVE) -> Record:
    return Record(name, address(name), life(name, counter), state, b"")


def accusation(
    name: str, state: MemberState = MemberState.SUSPECT, accuser: str = "z", counter: int = 0
) -> Accusation:
    return Accusation(state, name, life(name, counter), accuser)


def packet(sender: str, *messages: Message, counter: int = 0) -> bytes:
    header = encode_header(TAG, Sender(sender, life(sender, counter)))
    return header + b"".join(map(encode, messages))


class Sent:
    """The effects of some calls, by kind."""

    def __init__(self, effects: list[Effect]) -> None:
        self.datagrams = [effect for effect in effects if isinstance(effect, SendDatagram)]
        self.streams = [effect for effect in effects if isinstance(effect, OpenStream)]
        self.timers = [effect for effect in effects if isinstance(effect, Schedule)]
        self.events: list[Event] = [
            effect.event for effect in effects if isinstance(effect, Notify)
        ]

    @property
    def changes(self) -> list[tuple[str, MemberEvent]]:
        """What was told of members."""
        return [
            (event.member.name, event.event)
            for event in self.events
            if isinstance(event, MemberChanged)
        ]

    @property
    def messages(self) -> list[tuple[Address, tuple[Message, ...]]]:
        """What was sent over UDP, to whom."""
        return [(sent.address, opened(sent.data).messages) for sent in self.datagrams]

    def delay_s(self, kind: type[Timer]) -> list[float]:
        """The delays of the timers of a kind."""
        return [timer.delay_s for timer in self.timers if isinstance(timer.timer, kind)]


def opened(data: bytes) -> Packet:
    return decode(data, TAG)


class Rig:
    """The member "m"."""

    def __init__(self, *others: str, seed: int = 1) -> None:
        rng = random.Random(seed)
        self.timing = Timing()
        self.own = OwnRecord(record("m"))
        self.outbox = Outbox(TAG, self.own, self.timing)
        self.members = Members(rng)
        self.gossip = Gossip(self.members, self.outbox, self.timing, rng)
        self.knowledge = Knowledge(self.own, self.members, self.gossip, self.outbox, self.timing)
        self.prober = Prober(self.knowledge, self.members, self.outbox, self.timing, rng)
        self.repair = Repair(self.own, self.members, self.outbox, self.timing, rng)
        for name in others:
            self.knowledge.hear_alive(record(name), source=name)
        self.quiet()

    def sent(self) -> Sent:
        """What was done since the last call; the indexes are checked, too."""
        self.members.check()
        return Sent(self.outbox.drain())

    def quiet(self) -> None:
        """Forget what was done, and what waits to be passed on."""
        self.outbox.rumours.take(10**6, 1)
        self.gossip.round(self.knowledge.now_s)
        self.outbox.drain()

    def member(self, name: str) -> Member:
        member = self.members.get(name)
        assert member is not None
        return member

    def state(self, name: str) -> MemberState:
        return self.member(name).record.state
