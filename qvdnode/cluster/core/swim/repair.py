"""Exchanges all records with one member at a time: to join, and to repair what gossip missed.

Each rumour is sent a limited number of times, so a member can miss it, and after a partition no
rumours are left: without exchanges the views would never become the same again.
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
    """This member's own exchanges, and its answers to exchanges of others."""

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
        """The numbers of own exchanges without an answer yet, and whether they were for joining."""

    def set_seeds(self, seeds: Sequence[Address]) -> None:
        """Set addresses to try again and again while no known member is there."""
        self._seeds = tuple(seeds)

    def join(self) -> None:
        """Ask some seeds for the members."""
        seeds = self._unknown_seeds()
        for address in self._rng.sample(seeds, min(JOIN_SEEDS, len(seeds))):
            self._ask(address, joining=True)

    def begin(self) -> None:
        """Schedule the first exchange soon: members that start together miss rumours."""
        soon_s = self._rng.uniform(0, self._timing.reconnect_interval_s)
        self._outbox.schedule(ExchangeDue(), soon_s)

    def exchange_due(self) -> None:
        """Exchange with a random member."""
        for member in self._members.some_up(1):
            self._ask(member.record.address, joining=False)
        self._outbox.schedule(ExchangeDue(), self._timing.exchange_s(self._members.size))

    def tick(self) -> None:
        """Try a dead member or an unknown seed: often when alone, else all members share this."""
        self._since_attempt_s += self._timing.probe_interval_s
        alone = self._members.size == 1
        interval_s = self._timing.probe_interval_s if alone else self._timing.reconnect_interval_s
        if self._since_attempt_s < interval_s or len(self._waiting) >= JOIN_SEEDS:
            return
        self._since_attempt_s = 0.0
        addresses = [*self._down_addresses(), *self._unknown_seeds()]
        if addresses and self._rng.random() < len(addresses) / self._members.size:
            self._ask(self._rng.choice(addresses), joining=alone)

    def request(self) -> Exchange:
        """Return this member's records, as the answer to an exchange."""
        return Exchange(joining=False, records=self._records())

    def answered(self, number: int, exchange: Exchange, sender: str, knowledge: Knowledge) -> None:
        """Merge the answer to an own exchange; ignore an unexpected one."""
        joining = self._waiting.pop(number, None)
        if joining is not None:
            # While joining, the others know these members already: spread nothing but oneself.
            knowledge.merge(exchange.records, source=sender, spread=not joining)

    def ended(self, number: int) -> None:
        """Note that a stream has ended, with an answer or without."""
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

    def _unknown_seeds(self) -> list[Address]:
        """Return the seeds at which no member is known, or only one that left."""
        return [
            seed
            for seed in self._seeds
            if seed != self._own.record.address and not self._is_known(seed)
        ]

    def _is_known(self, seed: Address) -> bool:
        member = self._members.at(seed)
        return member is not None and member.record.state is not MemberState.LEFT
