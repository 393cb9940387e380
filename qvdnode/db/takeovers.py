"""Takes desktops from a node that was lost: guarded statements, as in ownership.py.

A node is given up once its lease has been over for so long that it has ended its desktops itself
(daemon/self_fence.py). Only the VMs whose flavour allows it, and whose user's home other nodes
have, lose their owner. While the database has just come back nobody is given up.
"""

import logging
from collections.abc import Sequence
from typing import Final

from qvdnode.db.nodes import FENCE, FENCE_GRACE_S, LEASE_TTL_S
from qvdnode.db.pool import Database
from qvdnode.db.rows import row_count
from qvdnode.model.ids import NodeId, VmId

log = logging.getLogger(__name__)

SOON_S: Final = 0.1
"""Least time until the next attempt, when the row says that the moment has come."""
LEFT_S: Final = """
SELECT state, EXTRACT(EPOCH FROM lease_until - clock_timestamp())::float8 + $2::float8 AS left_s
FROM node WHERE id = $1
"""
# against the node itself, which may come back just now and adopt what it owns
HOLD_LOST: Final = "SELECT true FROM node WHERE id = $1 AND state = 'fenced' FOR SHARE"
TAKE: Final = """
UPDATE vm SET owner_node = NULL, owner_epoch = NULL, state = 'stopped',
    error = 'Its node ' || lost.name || ' was lost.', state_since = clock_timestamp()
FROM node lost, flavour f
WHERE vm.id = $1 AND vm.owner_node = $2 AND lost.id = $2 AND f.id = vm.flavour_id
  AND vm.owner_epoch < lost.epoch AND lost.homes_id <> ''
  AND f.takeover <> 'never' AND f.driver = ANY($3::text[])
  AND EXISTS (
    SELECT 1 FROM node o WHERE o.id <> lost.id AND o.homes_id = lost.homes_id
    AND o.state = 'up' AND o.lease_until > clock_timestamp()
  )
"""
LOST: Final = """
SELECT vm.id, vm.owner_node
FROM vm JOIN node n ON n.id = vm.owner_node JOIN flavour f ON f.id = vm.flavour_id
WHERE f.takeover = 'at_once' AND f.driver = ANY($2::text[]) AND n.homes_id <> ''
  AND n.state IN ('up', 'fenced')
  AND n.lease_until + make_interval(secs => $1) < clock_timestamp()
ORDER BY vm.id LIMIT 100
"""
GUARDED: Final = ("lxc",)
"""Drivers whose guests a node that is cut off ends by their control groups."""


class Takeovers:
    """What a node that lives may do about one that does not."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def give_up(self, node_id: NodeId, grace_s: float = FENCE_GRACE_S) -> float:
        """Give up a node if the time has come; returns the seconds until then, 0 if it is done.

        If its process still runs, its lease and its writes are refused from then on, until it has
        joined again. Raises Unavailable.
        """
        async with self._db.transaction() as tx:
            wait_s = LEASE_TTL_S + grace_s - self._db.back_for_s
            if wait_s > 0:
                return wait_s
            if row_count(await tx.execute(FENCE, node_id, grace_s)) == 1:
                log.warning("node_given_up", extra={"node": node_id})
                return 0.0
        row = await self._db.fetchrow(LEFT_S, node_id, grace_s, idempotent=True)
        if row is None or row["state"] in ("fenced", "removed"):
            return 0.0
        return max(float(row["left_s"]), SOON_S)

    async def take(self, vm_id: VmId, lost: NodeId) -> bool:
        """Take the VM from a node that was given up; False when it is not to be taken.

        Then it has another owner by now, its node is back, or no node that lives has the home.
        Raises Unavailable.
        """
        async with self._db.transaction() as tx:
            if not await tx.fetchval(HOLD_LOST, lost):
                return False
            return row_count(await tx.execute(TAKE, vm_id, lost, list(GUARDED))) == 1

    async def lost(self, grace_s: float = FENCE_GRACE_S) -> Sequence[tuple[VmId, NodeId]]:
        """VMs that are to be taken at once, with the node that each is lost with."""
        rows = await self._db.fetch(LOST, grace_s, list(GUARDED), idempotent=True)
        return [(VmId(row["id"]), NodeId(row["owner_node"])) for row in rows]
