"""Keeps this node's lease renewed, and knows when it may no longer be relied on.

Without a valid lease nothing new is started. What runs goes on: a farm of one node has nobody who
could take its desktops over while the database is away.
"""

import asyncio
import logging
from typing import Final

from qvdnode.cluster.core.lease import Lease, granted
from qvdnode.cluster.ports import LeaseStore
from qvdnode.cluster.settings import ClusterSettings
from qvdnode.model.errors import LeaseLost, Unavailable
from qvdnode.model.ids import NodeId
from qvdnode.runtime.clock import Clock
from qvdnode.telemetry.metrics import Counter, Gauge

log = logging.getLogger(__name__)

RENEWALS = Counter(
    "qvdnode_lease_renewals", "Attempts to renew the node's lease, by outcome", ["outcome"]
)
VALID = Gauge("qvdnode_lease_valid", "1 while the node may start desktops, else 0")

AGAIN_S: Final = 0.5
"""After a failed attempt: the lease must not run out when the database is back already."""
RAN_OUT: Final = (
    "The database has not renewed this node's lease: running desktops go on, new ones cannot start."
)


class LeaseKeeper:
    """The lease of one node in one epoch."""

    def __init__(
        self,
        store: LeaseStore,
        clock: Clock,
        settings: ClusterSettings,
        node_id: NodeId,
        epoch: int,
    ) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._node_id = node_id
        self._epoch = epoch
        self._lease: Lease | None = None
        self._renewed = False
        """Whether the last attempt succeeded."""
        self._was_valid = False
        self._left = False
        # A renewal that overtakes the goodbye would be refused, and look like a lost lease.
        self._one_at_a_time = asyncio.Lock()

    def valid(self) -> bool:
        """Whether this node may take VMs and start them."""
        return self._lease is not None and self._lease.valid(self._clock.monotonic_s())

    def problem(self) -> str | None:
        """A readiness check: why no desktop can be started, or None."""
        return None if self.valid() else RAN_OUT

    async def run(self) -> None:
        """Renew until cancelled; raises LeaseLost when the farm has given the node up.

        The node must then be started anew, to join in a new epoch and adopt what is still its own.
        """
        while True:
            await self.renew()
            await self._clock.sleep(self._settings.lease_renew_s if self._renewed else AGAIN_S)

    async def renew(self) -> None:
        """One attempt; an absent database is waited out, a refusal raises LeaseLost."""
        async with self._one_at_a_time:
            if not self._left:
                await self._renew()

    async def leave(self, *, guests_stay: bool) -> None:
        """Give the lease back, to renew it no more; raises Unavailable.

        Guests that stay are this node's still, and wait for its next process.
        """
        async with self._one_at_a_time:
            self._left = True
            self._lease = None
            await self._store.leave(self._node_id, self._epoch, guests_stay=guests_stay)

    async def _renew(self) -> None:
        asked_s = self._clock.monotonic_s()
        ttl_s = self._settings.lease_ttl_s
        self._renewed = False
        try:
            accepted = await self._store.renew(self._node_id, self._epoch, ttl_s)
        except Unavailable as error:
            RENEWALS.labels("unavailable").inc()
            self._tell(because=str(error))
            return
        if not accepted:
            RENEWALS.labels("refused").inc()
            self._lease = None
            self._tell(because="the farm gave this node up, or it joined anew elsewhere")
            raise LeaseLost("This node lost its place in the farm; start it again to join anew.")
        RENEWALS.labels("renewed").inc()
        self._lease = granted(asked_s, ttl_s, self._settings.lease_margin_s)
        self._renewed = True
        self._tell(because="renewed")

    def _tell(self, *, because: str) -> None:
        """Log the change between valid and not, and only that."""
        valid = self.valid()
        VALID.set(valid)
        if valid != self._was_valid:
            event = "lease_valid" if valid else "lease_ran_out"
            log.log(logging.INFO if valid else logging.WARNING, event, extra={"because": because})
        self._was_valid = valid
