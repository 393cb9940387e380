"""Joins the farm, at the node's start or as soon as the database is there.

Rows that an earlier process or an earlier boot of the host left are corrected first. Only then the
rest of the node learns that it has joined: clients may be served already, and a desktop that they
start must not be mistaken for a leftover.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from qvdnode.cluster.lease_keeper import LeaseKeeper
from qvdnode.cluster.settings import ClusterSettings
from qvdnode.daemon.membership import Membership
from qvdnode.db.database_move import require_arrived
from qvdnode.db.migrate import migrate
from qvdnode.db.nodes import LEASE_TTL_S, NodeMembership, NodePorts, Nodes
from qvdnode.db.pool import Database
from qvdnode.db.sessions import Sessions
from qvdnode.model.errors import Conflict, Unavailable
from qvdnode.model.ids import NodeId
from qvdnode.runtime.clock import Clock

log = logging.getLogger(__name__)

RETRY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Host:
    """The node that joins."""

    name: str
    address: str
    """Where other nodes dial it."""
    ports: NodePorts
    boot_id: str
    drivers: Callable[[], Iterable[str]]
    """What it can run guests with, at the moment of joining."""


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
    """Joins with all that belongs to it: schema, own rows, lease."""

    def __init__(  # noqa: PLR0913 - each takes part in a join
        self,
        host: Host,
        database: Database,
        membership: Membership,
        clock: Clock,
        settings: ClusterSettings,
        *,
        farm: Farm,
        prepare: Callable[[NodeId], Awaitable[object]],
    ) -> None:
        """`prepare` runs with the node's number after the migration, before the lease is taken."""
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
        """Join and return the lease to keep, or None while the database is away.

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
        await require_arrived(self._database)
        await self._farm.ensure_farm()
        row = await self._membership_row()
        if row.rebooted:
            stopped = await self._nodes.reset_after_reboot(row, self._host.boot_id)
            log.info("vms_marked_stopped_after_reboot", extra={"vms": stopped})
        await self._sessions.close_stale(row.node_id)
        await self._farm.enter(row)
        await self._prepare(row.node_id)
        lease = LeaseKeeper(self._nodes, self._clock, self._settings, row.node_id, row.epoch)
        await lease.renew()
        self._membership.enter(row, lease)
        return lease

    async def _membership_row(self) -> NodeMembership:
        """Join. After a reboot, wait until the lease of the earlier boot is over."""
        host = self._host
        limit_s = max(LEASE_TTL_S, self._settings.lease_ttl_s) + RETRY_S
        deadline_s = self._clock.monotonic_s() + limit_s
        logged = False
        while True:
            try:
                return await self._nodes.join(
                    host.name,
                    host.boot_id,
                    host.address,
                    sorted(host.drivers()),
                    ports=host.ports,
                    node_id=self._farm.node_id(),
                )
            except Conflict as error:
                if self._clock.monotonic_s() > deadline_s:
                    raise
                if not logged:
                    log.info("node_name_in_use", extra={"because": str(error), "wait_s": limit_s})
                logged = True
            await self._clock.sleep(RETRY_S)
