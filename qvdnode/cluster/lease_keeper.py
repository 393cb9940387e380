"""Renews this node's lease and says whether it is valid.

Without a valid lease the node starts no desktops. Running desktops stay: while the database is
away, no other node can take them over.
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
"""Pause after a failed attempt: short, so that no lease expires once the database is back."""
EXPIRED: Final = (
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
        # A renewal that reaches the database after the leave is refused, like a lost lease.
        self._one_at_a_time = asyncio.Lock()

    def valid(self) -> bool:
        """Whether this node may take VMs and start them."""
        return self._lease is not None and self._lease.valid(self._clock.monotonic_s())

    @property
    def deadline_s(self) -> float | None:
        """Until when it is valid, on this node's monotonic clock; None after it was refused."""
        return None if self._lease is None else self._lease.deadline_s

    def problem(self) -> str | None:
        """Return why no desktop can be started, or None; a readiness check."""
        return None if self.valid() else EXPIRED

    async def run(self) -> None:
        """Renew until cancelled; raises LeaseLost when the node was fenced or has joined again.

        The process must then restart: it joins in a new epoch and adopts the guests it still owns.
        """
        while True:
            await self.renew()
            await self._clock.sleep(self._settings.lease_renew_s if self._renewed else AGAIN_S)

    async def renew(self) -> None:
        """Try once to renew. An unreachable database only counts; a refusal raises LeaseLost."""
        async with self._one_at_a_time:
            if not self._left:
                await self._renew()

    async def leave(self, *, guests_stay: bool) -> None:
        """Release the lease and stop renewing it; raises Unavailable.

        With `guests_stay` the node still owns its guests, for its next process to adopt.
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
            self._tell(because="this node was fenced, or another process joined under its name")
            raise LeaseLost("This node lost its membership of the farm; restart it to join again.")
        RENEWALS.labels("renewed").inc()
        self._lease = granted(asked_s, ttl_s, self._settings.lease_margin_s)
        self._renewed = True
        self._tell(because="renewed")

    def _tell(self, *, because: str) -> None:
        """Set the metric, and log when the lease becomes valid or expires."""
        valid = self.valid()
        VALID.set(valid)
        if valid != self._was_valid:
            event = "lease_valid" if valid else "lease_expired"
            log.log(logging.INFO if valid else logging.WARNING, event, extra={"because": because})
        self._was_valid = valid
