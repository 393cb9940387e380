"""Takes this node's place in the farm, at its start or whenever the database is there.

What an earlier process or an earlier boot of the host has left in the rows is set right first. The
rest of the node hears of the place last, and of all of it at once: clients may be served already,
and what they start must not be taken for something that was left.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from qvdnode.cluster.lease_keeper import LeaseKeeper
from qvdnode.cluster.settings import ClusterSettings
from qvdnode.daemon.membership import Membership
from qvdnode.db.migrate import migrate
from qvdnode.db.nodes import LEASE_TTL_S, NodeMembership, Nodes
from qvdnode.db.pool import Database
from qvdnode.db.sessions import Sessions
from qvdnode.model.errors import Conflict, Unavailable
from qvdnode.model.ids import NodeId
from qvdnode.runtime.clock import Clock

log = logging.getLogger(__name__)

LOOK_AGAIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Host:
    """Who joins."""

    name: str
    address: str
    """Where other nodes dial it."""
    peer_port: int
    boot_id: str


class Farm(Protocol):
    """What makes the host a node that others trust."""

    def node_id(self) -> NodeId | None:
        """The number that this host was given when it joined; None before."""
        ...

    async def ensure_farm(self) -> object:
        """Have a farm; raises Forbidden for a host that must be invited first, Unavailable."""
        ...

    async def enter(self, seat: NodeMembership) -> None:
        """Have a certificate for that node; raises Unavailable, Forbidden, Conflict."""
        ...


class Joining:
    """What it takes to join."""

    def __init__(  # noqa: PLR0913 - each takes part in a join
        self,
        host: Host,
        database: Database,
        membership: Membership,
        clock: Clock,
        settings: ClusterSettings,
        *,
        farm: Farm,
        prepare: Callable[[], Awaitable[object]],
    ) -> None:
        """`prepare` is done on the way, while nobody is served by what the database holds."""
        self._farm = farm
        self._host = host
        self._database = database
        self._nodes = Nodes(database)
        self._sessions = Sessions(database)
        self._membership = membership
        self._clock = clock
        self._settings = settings
        self._prepare = prepare

    async def attempt(self) -> LeaseKeeper | None:
        """Join; the lease to keep, or None while the database is away.

        Raises Conflict when another host has this node's name and serves, and Forbidden when the
        host is not, or no longer, of the farm.
        """
        try:
            return await self._join()
        except Unavailable as error:
            log.warning("join_waits", extra={"because": str(error)})
            return None

    async def _join(self) -> LeaseKeeper:
        await migrate(self._database)
        await self._farm.ensure_farm()
        seat = await self._seat()
        if seat.rebooted:
            stopped = await self._nodes.reset_after_reboot(seat, self._host.boot_id)
            log.info("rows_set_right_after_reboot", extra={"vms": stopped})
        await self._sessions.close_stale(seat.node_id)
        await self._farm.enter(seat)
        await self._prepare()
        lease = LeaseKeeper(self._nodes, self._clock, self._settings, seat.node_id, seat.epoch)
        await lease.renew()
        self._membership.enter(seat, lease)
        return lease

    async def _seat(self) -> NodeMembership:
        """The node's place; that of a host which was restarted is free once its lease is over."""
        host = self._host
        limit_s = max(LEASE_TTL_S, self._settings.lease_ttl_s) + LOOK_AGAIN_S
        deadline_s = self._clock.monotonic_s() + limit_s
        told = False
        while True:
            try:
                return await self._nodes.join(
                    host.name,
                    host.boot_id,
                    host.address,
                    host.peer_port,
                    node_id=self._farm.node_id(),
                )
            except Conflict as error:
                if self._clock.monotonic_s() > deadline_s:
                    raise
                if not told:
                    log.info("seat_is_taken", extra={"because": str(error), "wait_s": limit_s})
                told = True
            await self._clock.sleep(LOOK_AGAIN_S)
