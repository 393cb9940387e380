"""The table of the other members, and the choice of members to contact."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from qvdnode.cluster.core.swim.beliefs import step
from qvdnode.wire.swim import RECORDS_MAX, Accusation, Address, Alive, MemberState, Record

if TYPE_CHECKING:
    from random import Random

UP: Final = (MemberState.ALIVE, MemberState.SUSPECT)


@dataclass(slots=True)
class Suspicion:
    """Who suspects a member, and since when."""

    began_s: float
    accusers: set[str]
    """The first accuser and those that confirmed."""


@dataclass(slots=True)
class Member:
    """One other member."""

    record: Record
    changed_s: float
    """When its state or incarnation last changed."""
    suspicion: Suspicion | None = None
    """Set while it is suspect."""

    @property
    def up(self) -> bool:
        """Whether it is alive or only suspected."""
        return self.record.state in UP

    def as_message(self, accuser: str) -> Alive | Accusation:
        """Return the record as a message; an accusation names `accuser`."""
        record = self.record
        if record.state is MemberState.ALIVE:
            return Alive(record)
        return Accusation(record.state, record.name, record.incarnation, accuser)


@dataclass(slots=True)
class _Picks:
    """A set of names from which random ones are picked in constant time."""

    names: list[str] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)

    def put(self, name: str, *, present: bool) -> None:
        if present and name not in self.places:
            self.places[name] = len(self.names)
            self.names.append(name)
        elif not present and name in self.places:
            place, last = self.places.pop(name), self.names.pop()
            if last != name:
                self.names[place] = last
                self.places[last] = place


class Members:
    """The table of all other members; this member itself is not in it."""

    def __init__(self, rng: "Random") -> None:
        self._rng = rng
        self._by_name: dict[str, Member] = {}
        self._by_address: dict[Address, str] = {}
        """The member that announced each address last."""
        self._up = _Picks()
        self._down = _Picks()
        self._left = _Picks()
        self._ring: list[str] = []
        """The order of probes; shuffled after each round."""
        self._next = 0

    def __iter__(self) -> Iterator[Member]:
        """Iterate over all members that are remembered."""
        return iter(self._by_name.values())

    def get(self, name: str) -> Member | None:
        """Return the member of that name, or None."""
        return self._by_name.get(name)

    def at(self, address: Address) -> Member | None:
        """Return the member whose address this is, or None."""
        member = self._by_name.get(self._by_address.get(address, ""))
        return member if member is not None and member.record.address == address else None

    @property
    def size(self) -> int:
        """The number of members that are up, this one included."""
        return len(self._up.names) + 1

    @property
    def down(self) -> list[str]:
        """The names of dead members, in no order. Members that left are not among them."""
        return self._down.names

    def learn(self, record: Record, now_s: float) -> Record | None:
        """Apply a record of a known member; return the record before, or None without a change.

        Use `put` for an unknown member.
        """
        member = self._by_name[record.name]
        before = member.record
        state = step(before.state, before.incarnation, record.state, record.incarnation)
        if state is None:
            return None
        if record.address != before.address:
            self._unmap(before)
        member.record = record._replace(state=state)
        member.changed_s = now_s
        self._index(member.record)
        return before

    def put(self, record: Record, now_s: float) -> bool:
        """Add an unknown member; return False when the table is full."""
        if len(self._by_name) >= RECORDS_MAX - 1:
            return False
        self._by_name[record.name] = Member(record, now_s)
        # At a random place, so that not all members probe a new one at the same moment.
        self._ring.insert(self._rng.randint(0, len(self._ring)), record.name)
        self._index(record)
        return True

    def forget_left(self, before_s: float) -> None:
        """Remove the members that left before that moment."""
        for name in list(self._left.names):
            member = self._by_name[name]
            if member.changed_s < before_s:
                del self._by_name[name]
                self._left.put(name, present=False)
                self._unmap(member.record)
                self._ring.remove(name)

    def next_to_probe(self) -> Member | None:
        """Return the next member of the round that is up; None when none is."""
        for _ in range(2 * len(self._ring)):
            if self._next >= len(self._ring):
                self._rng.shuffle(self._ring)
                self._next = 0
            member = self._by_name[self._ring[self._next]]
            self._next += 1
            if member.up:
                return member
        return None

    def some_up(self, count: int, without: str = "") -> list[Member]:
        """Return up to `count` random members that are up, without the named one."""
        names = self._up.names
        picked = self._rng.sample(names, min(len(names), count + 1))
        return [self._by_name[name] for name in picked if name != without][:count]

    def check(self) -> None:
        """Raise AssertionError when the indexes contradict the table; for tests."""
        names = set(self._by_name)
        up = {name for name, member in self._by_name.items() if member.up}
        assert set(self._up.names) == up
        assert set(self._ring) == names
        assert len(self._ring) == len(names)
        for member in self._by_name.values():
            assert (member.suspicion is not None) == (member.record.state is MemberState.SUSPECT)
            name, state = member.record.name, member.record.state
            assert (name in self._down.places) == (state is MemberState.DEAD)
            assert (name in self._left.places) == (state is MemberState.LEFT)

    def _unmap(self, record: Record) -> None:
        if self._by_address.get(record.address) == record.name:
            del self._by_address[record.address]

    def _index(self, record: Record) -> None:
        self._up.put(record.name, present=record.state in UP)
        self._down.put(record.name, present=record.state is MemberState.DEAD)
        self._left.put(record.name, present=record.state is MemberState.LEFT)
        if record.state in UP:
            self._by_address[record.address] = record.name
