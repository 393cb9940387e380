"""Applies reports about members, this one included; tells the node and spreads the news."""

from typing import Final

from qvdnode.cluster.core.swim.effects import (
    AddressConflict,
    EpochRaised,
    MemberChanged,
    MemberEvent,
    NameConflict,
    SuspicionDue,
)
from qvdnode.cluster.core.swim.gossip import Gossip
from qvdnode.cluster.core.swim.health import Health
from qvdnode.cluster.core.swim.members import UP, Member, Members, Suspicion
from qvdnode.cluster.core.swim.outbox import Outbox
from qvdnode.cluster.core.swim.own_record import Answer, OwnRecord
from qvdnode.cluster.core.swim.timing import Timing
from qvdnode.wire.swim import Accusation, Address, Alive, Incarnation, MemberState, Record, Sender

CONFLICTS_MAX: Final = 1024
"""How many conflicts are remembered, so that each is reported once."""
EARLY_S: Final = 1e-3
"""A timer may come this much early."""

S = MemberState


class Knowledge:
    """What this member believes about the others, and how it refutes false reports about itself."""

    def __init__(
        self,
        own: OwnRecord,
        members: Members,
        gossip: Gossip,
        outbox: Outbox,
        timing: Timing,
    ) -> None:
        self._own = own
        self._members = members
        self._gossip = gossip
        self._outbox = outbox
        self._timing = timing
        self._conflicts: set[tuple[str, bytes | str]] = set()
        self._accuses_nobody_until_s = 0.0
        self.health = Health(timing.health_max)
        self.now_s = 0.0
        """The time of the call that is being handled."""

    @property
    def own_name(self) -> str:
        """This member's name."""
        return self._own.record.name

    def hear_alive(self, record: Record, *, source: str, spread: bool = True) -> None:
        """Apply a report that a member is alive."""
        if record.name == self.own_name:
            self._hear_of_self(record.state, record)
        elif self._members.get(record.name) is None:
            self._meet(record, source, spread=spread)
        else:
            self._take(record, source, spread=spread)

    def hear_accusation(self, said: Accusation) -> None:
        """Apply a report that a member is suspect, dead or has left."""
        if said.name == self.own_name:
            self._hear_of_self(said.state, said)
            return
        member = self._members.get(said.name)
        if member is None:
            return  # an accusation has no address; a later exchange brings the whole record
        record = member.record._replace(incarnation=said.incarnation, state=said.state)
        if not self._take(record, said.accuser):
            self._confirm(member, said)

    def merge(self, records: tuple[Record, ...], *, source: str, spread: bool) -> None:
        """Apply all records of another member.

        A member that the other believes dead becomes only suspect here: it may have refuted since.
        """
        for record in records:
            known = self._members.get(record.name)
            if known is not None and known.record == record:
                continue
            if record.state is S.ALIVE or record.name == self.own_name:
                self.hear_alive(record, source=source, spread=spread)
            elif known is None:
                self._meet(record, source, spread=spread)
            elif record.state is S.DEAD and known.up:
                self._take(record._replace(state=S.SUSPECT), source)
            else:
                self._take(record, source)

    def hear_sender(self, sender: Sender, address: Address) -> Alive | Accusation | None:
        """Note the sender of a packet. Return what to tell it about itself, or None.

        That is what this member believes, if it differs from what the sender says of itself. If
        this member is the one with old news, the sender will answer with its record.
        """
        if sender.name == self.own_name:
            if sender.incarnation.instance != self._own.record.incarnation.instance:
                self._tell_conflict(sender.name, address, sender.incarnation.instance)
            return None
        member = self._members.get(sender.name)
        if member is None:
            return None
        if sender.incarnation == member.record.incarnation and member.record.state is S.ALIVE:
            return None
        return member.as_message(self.own_name)

    def correction(self, said: Alive | Accusation) -> Alive | None:
        """Return this member's record if the report about it is outdated, else None.

        A member that missed a refutation would otherwise never get it, and would declare this
        member dead.
        """
        record = said.record if isinstance(said, Alive) else said
        own = self._own.record
        behind = record.name == own.name and record.incarnation < own.incarnation
        return Alive(own) if behind and not self._own.leaving else None

    def accuse(self, name: str, incarnation: Incarnation) -> None:
        """Suspect a member: that incarnation did not answer this member's probe."""
        if self.now_s >= self._accuses_nobody_until_s and not self._own.leaving:
            self.hear_accusation(Accusation(S.SUSPECT, name, incarnation, self.own_name))

    def suspicion_due(self, timer: SuspicionDue) -> None:
        """Declare a member dead if its suspicion lasted long enough; ignore an outdated timer."""
        member = self._members.get(timer.name)
        if member is None or member.suspicion is None:
            return
        if member.record.incarnation != timer.incarnation:
            return
        due_s = max(self._due_s(member.suspicion), self._accuses_nobody_until_s)
        if due_s - self.now_s > EARLY_S:
            self._outbox.schedule(timer, due_s - self.now_s)
        else:
            self._take(member.record._replace(state=S.DEAD), self.own_name)

    def accuse_nobody_until(self, until_s: float) -> None:
        """Make no accusations until then: this process was blocked and missed packets."""
        self._accuses_nobody_until_s = until_s
        self.health.worsen()

    def spread_own(self) -> None:
        """Spread this member's own record."""
        own = self._own.record
        if self._own.leaving:
            self._gossip.spread(own.name, Accusation(S.LEFT, own.name, own.incarnation, own.name))
        else:
            self._gossip.spread(own.name, Alive(own))

    def _hear_of_self(self, state: MemberState, said: Record | Accusation) -> None:
        address = said.address if isinstance(said, Record) else None
        answer = self._own.answer(state, said.incarnation, address)
        if answer is Answer.CONFLICT and address is not None:
            self._tell_conflict(said.name, address, said.incarnation.instance)
        if answer is Answer.RAISE_EPOCH:
            self._outbox.notify(EpochRaised(self._own.record.incarnation.epoch))
        if answer in (Answer.REFUTE, Answer.RAISE_EPOCH):
            self.health.worsen()
            self.spread_own()

    def _meet(self, record: Record, source: str, *, spread: bool) -> None:
        """Add an unknown member. Dead ones are kept too, to know their incarnation."""
        self._check_address(record, self._members.at(record.address))
        # A suspect is added as alive first, so that its suspicion starts like any other.
        state = S.ALIVE if record.state is S.SUSPECT else record.state
        if not self._members.put(record._replace(state=state), self.now_s):
            return
        if state is S.ALIVE:
            self._tell(MemberEvent.JOINED, record._replace(state=state), source)
            if spread:
                self._gossip.spread(record.name, Alive(record._replace(state=state)))
        if record.state is S.SUSPECT:
            self._take(record, source)

    def _take(self, record: Record, source: str, *, spread: bool = True) -> bool:
        """Apply a record of a known member; return whether it changed anything."""
        member = self._members.get(record.name)
        if member is None:
            raise AssertionError(record.name)
        self._check_instance(member.record, record)
        neighbour = self._members.at(record.address)
        before = self._members.learn(record, self.now_s)
        if before is None:
            return False
        after = member.record
        member.suspicion = None
        if after.state is S.SUSPECT:
            member.suspicion = Suspicion(self.now_s, {source})
            self._schedule_suspicion(member, member.suspicion)
        if after.address != before.address:
            self._check_address(after, neighbour)
        event = event_of(before, after)
        if event is not None:
            self._tell(event, after, source)
        if spread:
            self._gossip.spread(record.name, member.as_message(source))
        return True

    def _confirm(self, member: Member, said: Accusation) -> None:
        """Count one more independent accuser, and spread the accusation."""
        suspicion = member.suspicion
        if suspicion is None or (said.state, said.incarnation) != (
            S.SUSPECT,
            member.record.incarnation,
        ):
            return
        wanted = self._timing.suspicion_multiplier - 1
        if said.accuser not in suspicion.accusers and len(suspicion.accusers) < wanted:
            suspicion.accusers.add(said.accuser)
            self._schedule_suspicion(member, suspicion)
            self._gossip.spread(said.name, said)

    def _schedule_suspicion(self, member: Member, suspicion: Suspicion) -> None:
        timer = SuspicionDue(member.record.name, member.record.incarnation)
        self._outbox.schedule(timer, max(0.0, self._due_s(suspicion) - self.now_s))

    def _due_s(self, suspicion: Suspicion) -> float:
        confirmations = len(suspicion.accusers) - 1
        return suspicion.began_s + self._timing.suspicion_s(self._members.size, confirmations)

    def _check_instance(self, known: Record, said: Record) -> None:
        """Report two processes with one name and one epoch: they are two nodes."""
        (epoch, instance, _), (said_epoch, said_instance, _) = known.incarnation, said.incarnation
        if known.state in UP and epoch == said_epoch and instance != said_instance:
            self._tell_conflict(said.name, said.address, said_instance)

    def _check_address(self, record: Record, other: Member | None) -> None:
        """Report two members that are up at one address."""
        if other is None or not other.up or record.state not in UP:
            return
        names = (record.name, other.record.name)
        if record.name != other.record.name and self._once(names):
            self._outbox.notify(AddressConflict(*names, record.address))

    def _tell_conflict(self, name: str, address: Address, instance: bytes) -> None:
        if self._once((name, instance)):
            self._outbox.notify(NameConflict(name, address, instance))

    def _once(self, conflict: tuple[str, bytes | str]) -> bool:
        if conflict in self._conflicts:
            return False
        if len(self._conflicts) >= CONFLICTS_MAX:
            self._conflicts.clear()
        self._conflicts.add(conflict)
        return True

    def _tell(self, event: MemberEvent, member: Record, source: str) -> None:
        self._outbox.notify(MemberChanged(event, member, source))


def event_of(before: Record, after: Record) -> MemberEvent | None:
    """Return the event for a change of a member's record, or None."""
    was_up, is_up = before.state in UP, after.state in UP
    if not is_up:
        down = MemberEvent.LEFT if after.state is S.LEFT else MemberEvent.DIED
        return down if was_up else None
    if not was_up:
        return MemberEvent.JOINED
    if before.incarnation.instance != after.incarnation.instance:
        return MemberEvent.RESTARTED
    if after.state is not before.state:
        return MemberEvent.SUSPECTED if after.state is S.SUSPECT else MemberEvent.RECOVERED
    changed = (before.address, before.metadata) != (after.address, after.metadata)
    return MemberEvent.UPDATED if changed else None
