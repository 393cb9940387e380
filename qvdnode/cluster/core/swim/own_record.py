"""What this member says of itself, and how it answers what others say of it."""

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
    """What to do about a claim that concerns this member."""

    NOTHING = auto()
    REFUTE = auto()
    """The own record was renewed; pass it on."""
    RAISE_EPOCH = auto()
    """The same, with a higher start epoch: this node's record of it was behind."""
    CONFLICT = auto()
    """Another process uses this member's name."""


@dataclass(slots=True)
class OwnRecord:
    """The record of this member."""

    record: Record

    @property
    def leaving(self) -> bool:
        """Whether it said goodbye; it answers no more then."""
        return self.record.state is MemberState.LEFT

    def renew(self, *, counter: int = 0) -> None:
        """Move on to the next incarnation, at least behind that counter."""
        epoch, instance, own = self.record.incarnation
        incarnation = Incarnation(epoch, instance, max(own, counter) + 1)
        self.record = self.record._replace(incarnation=incarnation)

    def announce(self, metadata: bytes) -> None:
        """Take other metadata, which needs a new incarnation to spread."""
        self.record = self.record._replace(metadata=metadata)
        self.renew()

    def leave(self) -> None:
        """Say goodbye."""
        self.record = self.record._replace(state=MemberState.LEFT)

    def answer(
        self, state: MemberState, incarnation: Incarnation, address: Address | None
    ) -> Answer:
        """Judge a claim about a member of this name; `address` is None where the claim has none."""
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
        """Another process of this name started later, as far as the epochs tell.

        At this member's own address that was its own former process. Elsewhere it is another node
        with this name, whose place is taken only once it is gone.
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
