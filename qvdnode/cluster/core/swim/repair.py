"""Exchanges everything with one member at a time: to join, to repair, and to find who is down.

Rumours can die out, and after a partition none are left: what repairs that is not optional.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from qvdnode.cluster.core.swim.effects import ExchangeDue
from qvdnode.cluster.core.swim.knowledge import Knowledge
from qvdnode.cluster.core.swim.members import Members
from qvdnode.cluster.core.swim.outbox import Outbox
from qvdnode.cluster.core.swim.own_record import OwnRecord
from qvdnode.cluster.core.swim.timing import Timing
from qvdnode.wire.swim import Address, Exchange, MemberState, Record

if TYPE_CHECKING:
    from random import Random

JOIN_SEEDS: Final = 3
"""Seeds that are tried at once."""
EXCHANGE_LIMIT_S: Final = 10.0


class Repair:
    """This member's own exchanges, and its answers to those of others."""

    def __init__(
        self,
        own: OwnRecord,
        members: Members,
        outbox: Outbox,
        timing: Timing,
        rng: "Random",
    ) -> None:
        self._own = own
        self._members = members
        self._outbox = outbox
        self._timing = timing
        self._rng = rng
        self._seeds: tuple[Address, ...] = ()
        self._since_attempt_s = 0.0
        self._waiting: dict[int, bool] = {}
        """Own exchanges that have no answer yet, and whether they are to join."""

    def set_seeds(self, seeds: Sequence[Address]) -> None:
        """Where members may be that are not known; tried for ever while nobody known is there."""
        self._seeds = tuple(seeds)

    def join(self) -> None:
        """Ask some seeds for the members."""
        strangers = self._strangers()
        for address in self._rng.sample(strangers, min(JOIN_SEEDS, len(strangers))):
            self._ask(address, joining=True)

    def begin(self) -> None:
        """Schedule the first exchange, soon: many that start at once miss each other's rumours."""
        soon_s = self._rng.uniform(0, self._timing.reconnect_interval_s)
        self._outbox.schedule(ExchangeDue(), soon_s)

    def exchange_due(self) -> None:
        """Exchange with a random member."""
        for member in self._members.some_up(1):
            self._ask(member.record.address, joining=False)
        self._outbox.schedule(ExchangeDue(), self._timing.exchange_s(self._members.size))

    def tick(self) -> None:
        """Try somebody who is down: often when alone, else so that all members share the work."""
        self._since_attempt_s += self._timing.probe_interval_s
        alone = self._members.size == 1
        interval_s = self._timing.probe_interval_s if alone else self._timing.reconnect_interval_s
        if self._since_attempt_s < interval_s or len(self._waiting) >= JOIN_SEEDS:
            return
        self._since_attempt_s = 0.0
        addresses = [*self._down_addresses(), *self._strangers()]
        if addresses and self._rng.random() < len(addresses) / self._members.size:
            self._ask(self._rng.choice(addresses), joining=alone)

    def request(self) -> Exchange:
        """The answer to an exchange of somebody else's."""
        return Exchange(joining=False, records=self._records())

    def answered(self, number: int, exchange: Exchange, sender: str, knowledge: Knowledge) -> None:
        """Take the answer to an own exchange; one that nobody waits for is ignored."""
        joining = self._waiting.pop(number, None)
        if joining is not None:
            # All but the one who joins know these members, and are to hear of it alone.
            knowledge.merge(exchange.records, source=sender, spread=not joining)

    def ended(self, number: int) -> None:
        """A stream has ended, with an answer or without."""
        self._waiting.pop(number, None)

    def _ask(self, address: Address, *, joining: bool) -> None:
        exchange = Exchange(joining, self._records())
        number = self._outbox.open_stream(address, exchange, EXCHANGE_LIMIT_S)
        self._waiting[number] = joining

    def _records(self) -> tuple[Record, ...]:
        return (self._own.record, *(member.record for member in self._members))

    def _down_addresses(self) -> list[Address]:
        down = map(self._members.get, self._members.down)
        return [member.record.address for member in down if member is not None]

    def _strangers(self) -> list[Address]:
        """Seeds at which nobody is known, or only somebody who left."""
        return [
            seed
            for seed in self._seeds
            if seed != self._own.record.address and not self._is_known(seed)
        ]

    def _is_known(self, seed: Address) -> bool:
        member = self._members.at(seed)
        return member is not None and member.record.state is not MemberState.LEFT
