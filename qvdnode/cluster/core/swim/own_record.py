"""This member's own record, and its answers to reports about itself."""

from dataclasses import dataclass
from enum import Enum, auto

from qvdnode.wire.swim import (
    EPOCH_MAX,
    Address,
    Incarnation,
    MemberState,
    Record,
)


class Answer(Enum):
    """What to do about a report on this member."""

    NOTHING = auto()
    REFUTE = auto()
    """The own record was renewed; spread it."""
    RAISE_EPOCH = auto()
    """The same, with a raised start epoch: the one that this node had stored was too low."""
    CONFLICT = auto()
    """Another process uses this member's name."""


@dataclass(slots=True)
class OwnRecord:
    """The record of this member."""

    record: Record

    @property
    def leaving(self) -> bool:
        """Whether this member has left; it refutes nothing then."""
        return self.record.state is MemberState.LEFT

    def renew(self, *, counter: int = 0) -> None:
        """Start the next incarnation, with a counter greater than `counter` and than its own."""
        epoch, instance, own = self.record.incarnation
        incarnation = Incarnation(epoch, instance, max(own, counter) + 1)
        self.record = self.record._replace(incarnation=incarnation)

    def announce(self, metadata: bytes) -> None:
        """Set new metadata, in a new incarnation so that it spreads."""
        self.record = self.record._replace(metadata=metadata)
        self.renew()

    def leave(self) -> None:
        """Set the state to LEFT."""
        self.record = self.record._replace(state=MemberState.LEFT)

    def answer(
        self, state: MemberState, incarnation: Incarnation, address: Address | None
    ) -> Answer:
        """Answer a report about a member of this name; `address` is None if the report has none."""
        own = self.record.incarnation
        if self.leaving or incarnation < own:
            return self._answer_older(incarnation, address)
        if incarnation[:2] == own[:2]:
            if state is MemberState.ALIVE and incarnation == own:
                return Answer.NOTHING
            self.renew(counter=incarnation.counter)
            return Answer.REFUTE
        return self._answer_newer(state, incarnation, address)

    def _answer_older(self, incarnation: Incarnation, address: Address | None) -> Answer:
        own = self.record.incarnation
        rival = incarnation.epoch == own.epoch and incarnation.instance != own.instance
        elsewhere = address is not None and address != self.record.address
        return Answer.CONFLICT if rival and elsewhere and not self.leaving else Answer.NOTHING

    def _answer_newer(
        self, state: MemberState, incarnation: Incarnation, address: Address | None
    ) -> Answer:
        """Answer a report about a process of this name with a higher epoch.

        At this member's own address it was this node's earlier process: raise the epoch. At another
        address it is a second node with this name: a conflict until that node is dead or has left.
        """
        gone = state in (MemberState.DEAD, MemberState.LEFT)
        if not gone and address is None:
            return Answer.NOTHING
        if not gone and address != self.record.address:
            return Answer.CONFLICT
        if incarnation.epoch >= EPOCH_MAX:
            return Answer.NOTHING
        raised = self.record.incarnation._replace(epoch=incarnation.epoch + 1, counter=0)
        self.record = self.record._replace(incarnation=raised)
        return Answer.RAISE_EPOCH
