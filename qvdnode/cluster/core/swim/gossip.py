"""Sends rumours to a few random members in each round, until each was sent often enough."""

from typing import TYPE_CHECKING

from qvdnode.cluster.core.swim.effects import GossipDue
from qvdnode.cluster.core.swim.members import Member, Members
from qvdnode.cluster.core.swim.outbox import Outbox
from qvdnode.cluster.core.swim.timing import Timing
from qvdnode.wire.swim import Message, encode

if TYPE_CHECKING:
    from random import Random


class Gossip:
    """Schedules gossip rounds while there are rumours."""

    def __init__(self, members: Members, outbox: Outbox, timing: Timing, rng: "Random") -> None:
        self._members = members
        self._outbox = outbox
        self._timing = timing
        self._rng = rng
        self._scheduled = False

    def spread(self, name: str, message: Message) -> None:
        """Spread this message about the named member, instead of an older one."""
        self._outbox.rumours.add(name, encode(message))
        if not self._scheduled:
            # A random moment, so that members that hear one rumour do not all send at once.
            self._schedule(self._rng.uniform(0, self._timing.gossip_interval_s))

    def round(self, now_s: float) -> None:
        """Send the waiting rumours to a few members."""
        self._scheduled = False
        targets = self._targets(now_s)
        limit = self._timing.retransmit_limit(self._members.size)
        for member in targets:
            self._outbox.send(member.record.address, (), limit)
        if targets and len(self._outbox.rumours):
            self._schedule(self._timing.gossip_interval_s)

    def _targets(self, now_s: float) -> list[Member]:
        targets = self._members.some_up(self._timing.gossip_members)
        if self._members.down:
            # A member that is believed dead may be alive; it must hear this to refute it.
            dead = self._members.get(self._rng.choice(self._members.down))
            if dead and now_s - dead.changed_s < self._timing.gossip_to_dead_s:
                targets.append(dead)
        return targets

    def _schedule(self, delay_s: float) -> None:
        self._scheduled = True
        self._outbox.schedule(GossipDue(), delay_s)
