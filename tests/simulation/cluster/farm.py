"""Many members of one farm in virtual time: the real core over a network that a seed decides.

Everything that happens comes from one heap and one `random.Random`, so a seed repeats a run.
"""

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from qvdnode.cluster.core.swim.effects import (
    Effect,
    EpochRaised,
    Event,
    MemberChanged,
    MemberEvent,
    Notify,
    OpenStream,
    Schedule,
    SendDatagram,
    Timer,
)
from qvdnode.cluster.core.swim.machine import Identity, Swim
from qvdnode.cluster.core.swim.timing import Timing
from qvdnode.cluster.keyring import Forged, Keyring
from qvdnode.wire.swim import Address, Exchange, Sender, encode, encode_header, farm_tag

FARM: Final = "simulated"
AFTER_STALL_S: Final = 1e-6
FULL_CHECK_MAX: Final = 25
"""Farms up to this size are checked whole at every step."""


class Broken(AssertionError):
    """An invariant did not hold."""


@dataclass(slots=True)
class Network:
    """What happens to what is sent."""

    loss: float = 0.0
    duplicates: float = 0.0
    delay_s: tuple[float, float] = (0.0002, 0.002)
    """Least and most; what differs is reordered."""
    blocked: Callable[[str, str], bool] = lambda _source, _target: False
    """Whether nothing gets from one member to the other."""
    udp_blocked: Callable[[str, str], bool] = lambda _source, _target: False


@dataclass(slots=True)
class Host:
    """One member's machine."""

    name: str
    address: Address
    swim: Swim
    keyring: Keyring | None
    epoch: int = 1
    life: int = 0
    """Counts its processes; timers of an earlier one are dropped."""
    running: bool = True
    stalled_until_s: float = 0.0
    events: list[tuple[float, Event]] = field(default_factory=list)
    seen: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    """Incarnation and state per member, which never go back."""


class Farm:
    """The members, the network and the time."""

    def __init__(self, size: int, seed: int, *, keys: tuple[bytes, ...] = ()) -> None:
        self.rng = random.Random(seed)
        self.network = Network()
        self.timing = Timing()
        self.now_s = 0.0
        self.sent: Counter[str] = Counter()
        """Datagrams by their sender."""
        self.sent_bytes: Counter[str] = Counter()
        self._keys = keys
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self.newest: dict[str, Any] = {}
        """The highest incarnation that each member gave itself."""
        self.hosts: dict[str, Host] = {}
        self._by_address: dict[Address, Host] = {}
        for number in range(size):
            self.add(f"n{number}", Address(f"10.0.{number // 250}.{number % 250 + 1}", 8446))

    # What a scenario does

    def add(self, name: str, address: Address) -> Host:
        """Put in one more machine; its process is not started yet."""
        keyring = Keyring(FARM, self._keys) if self._keys else None
        host = Host(name, address, self._process(name, address, 1), keyring, running=False)
        self.hosts[name] = host
        self._by_address[address] = host
        return host

    def start(self, host: Host, *, epoch: int | None = None) -> None:
        """Start a process there, by default in the next epoch."""
        host.epoch = host.epoch + 1 if epoch is None else epoch
        host.life += 1
        host.running = True
        host.stalled_until_s = 0.0
        host.seen.clear()
        host.swim = self._process(host.name, host.address, host.epoch)
        self._take(host, host.swim.start(self._seeds(), self.now_s))

    def start_all(self, within_s: float = 1.0) -> None:
        """Start every machine's process at some moment soon."""
        for host in self.hosts.values():
            self.after(self.rng.uniform(0, within_s), partial(self.start, host))

    def start_joined(self) -> None:
        """Start all processes as if each had just joined: what a large farm needs to begin fast."""
        for host in self.hosts.values():
            host.life, host.running, host.epoch = 1, True, 2
            host.swim = self._process(host.name, host.address, host.epoch)
            self.newest[host.name] = host.swim.own.incarnation
        records = tuple(host.swim.own for host in self.hosts.values())
        for host in self.hosts.values():
            sender = next(other for other in self.hosts.values() if other is not host)
            header = encode_header(farm_tag(FARM), Sender(sender.name, sender.swim.own.incarnation))
            answer = header + encode(Exchange(joining=False, records=records))
            effects = host.swim.start([sender.address], self.now_s)
            (stream,) = [effect for effect in effects if isinstance(effect, OpenStream)]
            self._take(host, [effect for effect in effects if effect is not stream])
            self._take(host, host.swim.handle_stream_answer(stream.number, answer, self.now_s))
            host.events.clear()

    def kill(self, host: Host) -> None:
        """End a process without a word."""
        host.running = False

    def leave(self, host: Host) -> None:
        """Let a process leave and end two seconds later."""
        self._take(host, host.swim.leave(self.now_s))
        self.after(2.0, lambda: self.kill(host))

    def stall(self, host: Host, seconds: float) -> None:
        """Let a process stand still; what comes meanwhile waits in its sockets."""
        host.stalled_until_s = max(host.stalled_until_s, self.now_s + seconds)

    def after(self, delay_s: float, work: Callable[[], None]) -> None:
        """Have something done later."""
        heapq.heappush(self._heap, (self.now_s + delay_s, next(self._numbers), work))

    def run(self, seconds: float) -> None:
        """Let time pass; a large farm is checked whole at the end of each call."""
        end_s = self.now_s + seconds
        while self._heap and self._heap[0][0] <= end_s:
            self.now_s, _, work = heapq.heappop(self._heap)
            work()
        self.now_s = end_s
        if len(self.hosts) > FULL_CHECK_MAX:
            self.check()

    def run_until(self, condition: Callable[[], bool], limit_s: float, step_s: float = 1.0) -> bool:
        """Let time pass until then; False when the limit came first."""
        end_s = self.now_s + limit_s
        while not condition():
            if self.now_s >= end_s:
                return False
            self.run(step_s)
        return True

    # What it looks like

    def running(self) -> list[Host]:
        """The machines whose process runs."""
        return [host for host in self.hosts.values() if host.running]

    def whole(self) -> bool:
        """Whether every member knows exactly the members that run, each as it is."""
        own = {host.name: host.swim.own for host in self.running()}
        return bool(own) and all(self._knows(host, own) for host in self.running())

    def deaths(self) -> list[tuple[float, str, str]]:
        """When who said that who has died."""
        return self.told(MemberEvent.DIED)

    def told(self, kind: MemberEvent) -> list[tuple[float, str, str]]:
        """When who said that of whom."""
        return [
            (when_s, host.name, event.member.name)
            for host in self.hosts.values()
            for when_s, event in host.events
            if isinstance(event, MemberChanged) and event.event is kind
        ]

    def check(self) -> None:
        """Raise Broken when any member breaks an invariant."""
        for host in self.running():
            self._check(host)

    # How it works

    def _knows(self, host: Host, own: dict[str, Any]) -> bool:
        up = {member.record.name: member.record for member in host.swim.members if member.up}
        return len(up) == len(own) - 1 and all(up[name] == own.get(name) for name in up)

    def _seeds(self) -> list[Address]:
        return [host.address for host in self.hosts.values()]

    def _process(self, name: str, address: Address, epoch: int) -> Swim:
        instance = self.rng.randbytes(8)
        # With much metadata a packet has room for few rumours.
        metadata = name.encode() + bytes(self.rng.choice((0, 0, 500)))
        identity = Identity(FARM, name, address, epoch, instance, metadata)
        return Swim(identity, self.timing, random.Random(self.rng.random()))

    def _take(self, host: Host, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case SendDatagram():
                    self._send(host, effect)
                case OpenStream():
                    self._open(host, effect)
                case Schedule(timer, delay_s):
                    self._later(host, delay_s, partial(self._fire, host, timer), rank=0)
                case Notify(event):
                    if isinstance(event, EpochRaised):
                        host.epoch = event.epoch
                    host.events.append((self.now_s, event))
        own = host.swim.own.incarnation
        self.newest[host.name] = max(own, self.newest.get(host.name, own))
        if len(self.hosts) <= FULL_CHECK_MAX:
            self._check(host)

    def _fire(self, host: Host, timer: Timer) -> list[Effect]:
        return host.swim.handle_timer(timer, self.now_s)

    def _later(
        self, host: Host, delay_s: float, work: Callable[[], list[Effect]], *, rank: int = 1
    ) -> None:
        """Have a process do something, unless it is another one by then; a stall delays it.

        After a stall what has the lower rank comes first: timers, which is the worst case.
        """
        life = host.life

        def due() -> None:
            if not host.running or host.life != life:
                return
            left_s = host.stalled_until_s - self.now_s
            if left_s > 0:
                self.after(left_s + rank * AFTER_STALL_S, due)
            else:
                self._take(host, work())

        self.after(delay_s, due)

    def _delay_s(self) -> float:
        return self.rng.uniform(*self.network.delay_s)

    def _send(self, host: Host, effect: SendDatagram) -> None:
        room_bytes = self.timing.packet_max_bytes - self.timing.packet_overhead_bytes
        if len(effect.data) > room_bytes:
            raise Broken(f"{host.name} sends {len(effect.data)} bytes")
        self.sent[host.name] += 1
        self.sent_bytes[host.name] += len(effect.data)
        target = self._by_address.get(effect.address)
        network = self.network
        if target is None or network.blocked(host.name, target.name):
            return
        if network.udp_blocked(host.name, target.name) or self.rng.random() < network.loss:
            return
        data = self._sealed(host, effect.data)
        for _ in range(2 if self.rng.random() < network.duplicates else 1):
            self._later(target, self._delay_s(), lambda: self._receive(target, data, host.address))

    def _receive(self, host: Host, data: bytes, source: Address) -> list[Effect]:
        try:
            return host.swim.handle_datagram(self._opened(host, data), source, self.now_s)
        except Forged:
            return []

    def _open(self, host: Host, effect: OpenStream) -> None:  # noqa: C901 - one stream, told in order
        """TCP: loss delays it, a block in either direction or a long stall lets it fail."""
        target = self._by_address.get(effect.address)
        began_s = self.now_s
        network = self.network
        # Each lost segment costs its sender a retransmission.
        lost = sum(self.rng.random() < network.loss for _ in range(4))
        done = False

        def fail() -> list[Effect]:
            if not done:
                host.swim.handle_stream_failure(effect.number)
            return []

        def request() -> list[Effect]:
            if target is None or network.blocked(target.name, host.name):
                return []
            try:
                plain = self._opened(target, data)
            except Forged:
                return []
            effects, answer = target.swim.handle_stream_request(plain, host.address, self.now_s)
            if answer is not None:
                sealed = self._sealed(target, answer)
                self._later(host, self._delay_s(), lambda: answered(sealed))
            return effects

        def answered(sealed: bytes) -> list[Effect]:
            nonlocal done
            if done or self.now_s - began_s > effect.limit_s:
                return []
            done = True
            try:
                plain = self._opened(host, sealed)
            except Forged:
                host.swim.handle_stream_failure(effect.number)
                return []
            return host.swim.handle_stream_answer(effect.number, plain, self.now_s)

        data = self._sealed(host, effect.data)
        self._later(host, effect.limit_s, fail)
        if target is not None and target.running and not network.blocked(host.name, target.name):
            self._later(target, 2 * self._delay_s() + 0.2 * lost, request)

    def _sealed(self, host: Host, plain: bytes) -> bytes:
        return host.keyring.seal(plain, self.rng.randbytes(12)) if host.keyring else plain

    def _opened(self, host: Host, data: bytes) -> bytes:
        return host.keyring.open(data) if host.keyring else data

    def _check(self, host: Host) -> None:
        members = host.swim.members
        members.check()
        if host.swim.rumours > len(self.hosts) + 1:
            raise Broken(f"{host.name} has {host.swim.rumours} rumours")
        for member in members:
            record = member.record
            seen = (record.incarnation, record.state)
            if seen < host.seen.get(record.name, seen):
                raise Broken(f"{host.name} went back on {record.name}: {seen}")
            newest = self.newest.get(record.name)
            if newest is None or record.incarnation > newest:
                raise Broken(f"{host.name} knows an incarnation that {record.name} never had")
            host.seen[record.name] = seen
