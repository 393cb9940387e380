"""Ensures that one node runs a VM: guarded statements, with the generation as fencing token.

The node's row is locked first, since a guard that reads a snapshot could miss a concurrent fencing.
Then one UPDATE acquires the VM or changes no row. Each later write names the generation.
"""

import logging
from collections.abc import Sequence
from typing import Final

from qvdnode.db.nodes import NodeMembership
from qvdnode.db.pool import Database
from qvdnode.db.rows import row_count
from qvdnode.db.translation import AWAY, ChangedMeanwhile, CommitUnknown
from qvdnode.model.errors import AcquireUnknown, Conflict, LeaseLost, NotFound, Unavailable
from qvdnode.model.ids import Generation, NodeId, VmId
from qvdnode.model.vm_state import VmState

log = logging.getLogger(__name__)

TRIES: Final = 3

HOLD_NODE: Final = """
SELECT lease_until > clock_timestamp() AS alive FROM node
WHERE id = $1 AND epoch = $2 AND state = 'up' FOR SHARE
"""
# also a VM that this node owns: its release may have been lost, and it must stay startable. The
# first start decides where the user's home is. If two nodes start VMs of one user at the same time,
# the second waits for the user's row, does not change it, and updates no VM: its snapshot is older.
ACQUIRE: Final = """
WITH home AS (
    UPDATE app_user u SET home_node = $2 FROM vm v
    WHERE v.id = $1 AND u.id = v.user_id AND u.home_node IS NULL
      AND (v.owner_node IS NULL OR v.owner_node = $2)
    RETURNING u.id
)
UPDATE vm SET owner_node = $2, owner_epoch = $3, gen = gen + 1, state = 'preparing',
    error = NULL, state_since = clock_timestamp()
WHERE id = $1 AND (owner_node IS NULL OR owner_node = $2)
AND (
    EXISTS (SELECT 1 FROM home)
    OR EXISTS (
        SELECT 1 FROM app_user u JOIN node h ON h.id = u.home_node JOIN node me ON me.id = $2
        WHERE u.id = vm.user_id
          AND (h.id = me.id OR (me.homes_id <> '' AND me.homes_id = h.homes_id))
    )
)
AND EXISTS (
    SELECT 1 FROM node n WHERE n.id = $2 AND n.epoch = $3 AND n.lease_until > clock_timestamp()
)
RETURNING gen
"""
READ: Final = "SELECT gen, owner_node, owner_epoch FROM vm WHERE id = $1"
OWNER: Final = """
SELECT vm.owner_node, n.name, n.state = 'up' AND n.lease_until > clock_timestamp() AS alive,
       u.home_node, h.name AS home
FROM vm LEFT JOIN node n ON n.id = vm.owner_node JOIN app_user u ON u.id = vm.user_id
    LEFT JOIN node h ON h.id = u.home_node
WHERE vm.id = $1
"""
RECORD: Final = """
WITH ready AS (
    UPDATE vm_start SET ready_at = clock_timestamp()
    WHERE vm_id = $1 AND gen = $2 AND ready_at IS NULL AND $4 = 'running'
)
UPDATE vm SET state = $4, error = $5, owner_epoch = $6, state_since = clock_timestamp()
WHERE id = $1 AND gen = $2 AND owner_node = $3
"""
# no owner is accepted, too: a repetition after a lost answer finds none
RELEASE: Final = """
WITH ended AS (
    UPDATE vm_start SET ended_at = clock_timestamp(), failed = $4 = 'failed'
    WHERE vm_id = $1 AND gen = $2 AND ended_at IS NULL
)
UPDATE vm SET owner_node = NULL, owner_epoch = NULL, state = $4, error = $5,
    state_since = clock_timestamp()
WHERE id = $1 AND gen = $2 AND (owner_node = $3 OR owner_node IS NULL)
"""
OWNED: Final = "SELECT id, gen, state FROM vm WHERE owner_node = $1 ORDER BY id"


class Ownership:
    """Implements vm.ports.VmStore for one node."""

    def __init__(self, db: Database, node: NodeMembership) -> None:
        self._db = db
        self._node = node

    async def acquire(self, vm_id: VmId) -> Generation:
        """Acquire the VM for this node; returns the new generation.

        Raises NotFound, Conflict when another node runs it, LeaseLost when this node's own lease
        has run out, Unavailable when that other node or the database is away. After any of these it
        is not acquired, except after AcquireUnknown, when it may be.
        """
        for left in reversed(range(TRIES)):
            try:
                return await self._acquire(vm_id)
            except ChangedMeanwhile:
                if left == 0:
                    raise
        raise AssertionError("the last try returns or raises")

    async def record(
        self, vm_id: VmId, generation: Generation, state: VmState, *, error: str | None = None
    ) -> None:
        """Write the state; raises LeaseLost when the VM is not this node's any more."""
        node_id, epoch = self._node.node_id, self._node.epoch
        tag = await self._db.execute(
            RECORD, vm_id, generation, node_id, state, error, epoch, idempotent=True
        )
        self._must_be_ours(tag, vm_id, generation)

    async def release(
        self, vm_id: VmId, generation: Generation, state: VmState, *, error: str | None = None
    ) -> None:
        """Release the VM after its guest is gone; raises LeaseLost as `record` does."""
        tag = await self._db.execute(
            RELEASE, vm_id, generation, self._node.node_id, state, error, idempotent=True
        )
        self._must_be_ours(tag, vm_id, generation)

    async def owned(self) -> Sequence[tuple[VmId, Generation, VmState]]:
        """Return the VMs that this node owns by their rows."""
        rows = await self._db.fetch(OWNED, self._node.node_id, idempotent=True)
        return [(VmId(row["id"]), Generation(row["gen"]), VmState(row["state"])) for row in rows]

    async def _acquire(self, vm_id: VmId) -> Generation:
        node_id, epoch = self._node.node_id, self._node.epoch
        generation: Generation | None = None
        try:
            async with self._db.transaction() as tx:
                if not await tx.fetchval(HOLD_NODE, node_id, epoch):
                    raise LeaseLost("This node's lease has run out; it starts nothing until then.")
                found = await tx.fetchval(ACQUIRE, vm_id, node_id, epoch)
                generation = None if found is None else Generation(found)
        except CommitUnknown:
            return await self._settle(vm_id, generation)
        if generation is None:
            raise await self._refusal(vm_id)
        return generation

    async def _settle(self, vm_id: VmId, generation: Generation | None) -> Generation:
        """Read the row after a lost answer to a commit, to learn whether it took effect."""
        if generation is None:
            raise Unavailable(AWAY)
        try:
            row = await self._db.fetchrow(READ, vm_id, idempotent=True)
        except Unavailable as error:
            raise AcquireUnknown(str(error), generation) from error
        if row is None or tuple(row) != (generation, self._node.node_id, self._node.epoch):
            raise Unavailable(AWAY)
        log.info("commit_settled", extra={"vm": vm_id, "generation": generation})
        return generation

    async def _refusal(self, vm_id: VmId) -> Conflict | NotFound | LeaseLost | Unavailable:
        row = await self._db.fetchrow(OWNER, vm_id, idempotent=True)
        if row is None:
            return NotFound(f"There is no VM {vm_id}.")
        owner: NodeId | None = row["owner_node"]
        if owner is None or owner == self._node.node_id:
            if row["home_node"] not in (None, self._node.node_id):
                return Conflict(f"The files of this desktop's user are on node {row['home']}.")
            return LeaseLost("This node's lease ran out just now.")
        return runs_elsewhere(vm_id, row["name"], alive=row["alive"])

    def _must_be_ours(self, tag: str, vm_id: VmId, generation: Generation) -> None:
        if row_count(tag) != 1:
            raise LeaseLost(
                f"VM {vm_id} (generation {generation}) is not node {self._node.node_id}'s any more."
            )


def runs_elsewhere(vm_id: VmId, node: str, *, alive: bool) -> Conflict | Unavailable:
    """Return the error for a start of a VM that the node of that name owns."""
    if alive:
        return Conflict(f"VM {vm_id} runs on node {node}.")
    return Unavailable(
        f"VM {vm_id} ran on node {node}, which is away: it goes on when the node is"
        " back, or when an administrator has given the node up."
    )
