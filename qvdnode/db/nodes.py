"""Nodes: who is in the farm, since when, and until when their lease runs.

All times are the database's; the clocks of nodes are not used.
"""

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final

import asyncpg

from qvdnode.db.lists import ListSource, name_key, read_list
from qvdnode.db.pool import Database
from qvdnode.db.rows import changed, found, row_count
from qvdnode.model.errors import Conflict, Forbidden, Unavailable
from qvdnode.model.farm import Drain
from qvdnode.model.ids import NodeId
from qvdnode.model.listing import Listing, Page

log = logging.getLogger(__name__)

KIND: Final = "node"
LEASE_TTL_S: Final = 15.0
FENCE_GRACE_S: Final = 10.0
"""Time after the end of a lease by which even a slow node has noticed it."""
WAS_REMOVED: Final = (
    "This node was removed from its farm. To join again, run `qvd node invite` on another node,"
    " and `qvdnode join` here."
)

# a node comes back with its old boot id in the row, until reset_after_reboot has set its VMs right;
# while the lease of another boot runs, that is either not yet over or another host of this name
JOIN: Final = """
INSERT INTO node
    (name, address, boot_id, epoch, state, lease_until, drivers, peer_port, gossip_port)
VALUES ($1, $2, $3, 1, 'up', clock_timestamp() + make_interval(secs => $4), $5, $6, $7)
ON CONFLICT (name) WHERE state <> 'removed' DO UPDATE SET
    address = $2, epoch = node.epoch + 1, state = 'up', drivers = $5, peer_port = $6,
    gossip_port = $7,
    lease_until = clock_timestamp() + make_interval(secs => $4), joined_at = clock_timestamp()
WHERE node.boot_id = $3 OR node.state <> 'up' OR node.lease_until < clock_timestamp()
RETURNING id, epoch, boot_id <> $3 AS rebooted
"""
JOIN_AS: Final = """
UPDATE node SET name = $1, address = $2, epoch = epoch + 1, state = 'up', drivers = $5,
    peer_port = $6, gossip_port = $7,
    boot_id = CASE WHEN boot_id = '' THEN $3 ELSE boot_id END,
    lease_until = clock_timestamp() + make_interval(secs => $4), joined_at = clock_timestamp()
WHERE id = $8 AND state <> 'removed'
  AND (boot_id = $3 OR state <> 'up' OR lease_until < clock_timestamp())
RETURNING id, epoch, boot_id <> $3 AS rebooted
"""
# its number was given to this host when it joined, and numbers are not given twice
JOIN_ANEW: Final = """
INSERT INTO node
    (id, name, address, boot_id, epoch, state, lease_until, drivers, peer_port, gossip_port)
SELECT $8, $1, $2, $3, coalesce(max(owner_epoch), 0) + 1, 'up',
    clock_timestamp() + make_interval(secs => $4), $5, $6, $7
FROM vm
ON CONFLICT DO NOTHING
RETURNING id, epoch, false AS rebooted
"""
GIVE_HIGHER: Final = """
SELECT setval(pg_get_serial_sequence('node', 'id'), greatest(
    (SELECT max(id) FROM node), pg_sequence_last_value(pg_get_serial_sequence('node', 'id'))))
"""
SET_IDENTITY: Final = """
UPDATE node SET peer_key = $3, program = $4 WHERE id = $1 AND epoch = $2 AND state = 'up'
"""
RENEW: Final = """
UPDATE node SET lease_until = clock_timestamp() + make_interval(secs => $3)
WHERE id = $1 AND epoch = $2 AND state = 'up'
"""
LEAVE: Final = """
UPDATE node SET state = CASE WHEN $3 THEN state ELSE 'left' END, lease_until = clock_timestamp()
WHERE id = $1 AND epoch = $2 AND state = 'up'
"""
FENCE: Final = """
UPDATE node SET state = 'fenced', epoch = epoch + 1
WHERE id = $1 AND state NOT IN ('fenced', 'removed')
  AND lease_until + make_interval(secs => $2) < clock_timestamp()
"""
REMOVE: Final = """
UPDATE node SET state = 'removed', epoch = epoch + 1, peer_key = NULL
WHERE id = $1 AND state <> 'removed'
  AND (state IN ('left', 'fenced', 'invited') OR lease_until < clock_timestamp())
  AND NOT EXISTS (SELECT 1 FROM vm WHERE owner_node = node.id)
"""
# leave VMs alone that the node acquires in its new epoch
STOP_ALL: Final = """
UPDATE vm SET state = 'stopped', owner_node = NULL, owner_epoch = NULL,
    error = $2, state_since = clock_timestamp()
WHERE owner_node = $1 AND owner_epoch < (SELECT epoch FROM node WHERE id = $1)
"""
SET_KEYRING: Final = "UPDATE node SET keyring = $3 WHERE id = $1 AND epoch = $2"
SET_HOMES: Final = "UPDATE node SET homes_id = $2 WHERE id = $1"
OFFER: Final = "UPDATE node SET drivers = $3 WHERE id = $1 AND epoch = $2"
DRIVERS: Final = (
    "SELECT DISTINCT unnest(drivers) FROM node WHERE state NOT IN ('fenced', 'removed')"
)
SET_DRAIN: Final = "UPDATE node SET drain = $2 WHERE id = $1 AND state <> 'removed'"
HOMES: Final = "SELECT count(*) FROM app_user WHERE home_node = $1"
SET_BOOT_ID: Final = "UPDATE node SET boot_id = $3 WHERE id = $1 AND epoch = $2"
COLUMNS: Final = """
id, name, address, peer_port, gossip_port, peer_key, program, boot_id, epoch, state,
joined_at, lease_until, drivers, drain, homes_id, keyring,
state = 'up' AND lease_until > clock_timestamp() AS alive
"""
SELECT: Final = f"SELECT {COLUMNS} FROM node "
GET: Final = SELECT + "WHERE id = $1"
NAMES: Final = "SELECT id, name FROM node WHERE id = ANY($1::integer[])"
LIST: Final = ListSource(
    columns=COLUMNS,
    tables="node",
    id="id",
    searched=("name",),
    sorts={"name": name_key("name"), "state": name_key("state")},
    condition="state <> 'removed'",
)
PEERS: Final = SELECT + "ORDER BY id"


@dataclass(frozen=True, slots=True)
class NodePorts:
    """Where a node listens for others, at its address; 0 while that is not known."""

    peer: int = 0
    """For calls and streams."""
    gossip: int = 0
    """For the membership."""


NO_PORTS: Final = NodePorts()


@dataclass(frozen=True, slots=True)
class NodeMembership:
    """The membership of one node process: the node's id and the epoch of this process."""

    node_id: NodeId
    epoch: int
    rebooted: bool = False
    """Whether the host was restarted since this node was last here."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node as the database knows it."""

    id: NodeId
    name: str
    address: str
    """Where other nodes dial it."""
    peer_port: int
    gossip_port: int
    """0 while it is not known."""
    peer_key: bytes | None
    """Digest of its public key; None for a node that no other node may speak with."""
    program: str
    """The version of its program."""
    boot_id: str
    epoch: int
    state: str
    joined_at: datetime
    lease_until: datetime
    drivers: tuple[str, ...]
    """The kinds of guests that it can start, as far as it has said."""
    alive: bool
    """Whether its lease runs, by the database's clock."""
    drain: Drain = Drain.NO
    homes_id: str = ""
    """The mark in the folder of homes that it shares; empty for homes of its own."""
    keyring: str = ""
    """Which keys of the membership it uses; empty for a program that does not say."""


class Nodes:
    """The table of nodes."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def join(
        self,
        name: str,
        boot_id: str,
        address: str,
        drivers: Sequence[str] = (),
        *,
        ports: NodePorts = NO_PORTS,
        node_id: NodeId | None = None,
    ) -> NodeMembership:
        """Join with a new epoch, which fences an older process of this node.

        `node_id` is the number that this host was given when it joined the farm; without one the
        name decides. Raises Conflict while the lease of another host, or of an earlier boot of this
        one, runs, and Forbidden when the node was removed.
        """
        values = (name, address, boot_id, LEASE_TTL_S, list(drivers), ports.peer, ports.gossip)
        if node_id is None:
            row = await self._db.fetchrow(JOIN, *values, idempotent=True)
        else:
            row = await self._db.fetchrow(JOIN_AS, *values, node_id, idempotent=True)
        if row is None and node_id is not None:
            row = await self._join_anew(node_id, values)
        if row is None:
            raise Conflict(
                f"Another host serves this database as the node {name}; two of one name would run "
                "each other's desktops twice: give this one another [node] name."
            )
        return NodeMembership(NodeId(row["id"]), row["epoch"], row["rebooted"])

    async def _join_anew(
        self, node_id: NodeId, values: tuple[object, ...]
    ) -> asyncpg.Record | None:
        """Make the row again that was lost, as with a table that was emptied; None if it is there.

        A node that was removed has its row still: raises Forbidden.
        """
        before = await self._db.fetchrow(GET, node_id, idempotent=True)
        if before is not None:
            if before["state"] == "removed":
                raise Forbidden(WAS_REMOVED)
            return None
        async with self._db.transaction() as tx:
            row = await tx.fetchrow(JOIN_ANEW, *values, node_id)
            await tx.fetchval(GIVE_HIGHER)
        if row is not None:
            log.warning("node_row_lost", extra={"node": node_id, "fix": "it was made again"})
        return row

    async def set_identity(self, membership: NodeMembership, key: bytes, program: str) -> None:
        """Tell other nodes what to recognise this one by."""
        await self._db.execute(
            SET_IDENTITY, membership.node_id, membership.epoch, key, program, idempotent=True
        )

    async def set_homes(self, node_id: NodeId, homes_id: str) -> None:
        """Say which shared folder of homes the node has; empty for homes of its own."""
        await self._db.execute(SET_HOMES, node_id, homes_id, idempotent=True)

    async def set_keyring(self, membership: NodeMembership, keyring: str) -> None:
        """Say which keys of the membership the node uses now."""
        values = (membership.node_id, membership.epoch, keyring)
        await self._db.execute(SET_KEYRING, *values, idempotent=True)

    async def renew(self, node_id: NodeId, epoch: int, ttl_s: float = LEASE_TTL_S) -> bool:
        """Renew the lease; False when another process has joined or the node was fenced."""
        tag = await self._db.execute(RENEW, node_id, epoch, ttl_s, idempotent=True)
        return row_count(tag) == 1

    async def offer(self, node_id: NodeId, epoch: int, drivers: Sequence[str]) -> None:
        """Write which drivers the node offers; nothing if it has joined anew elsewhere."""
        await self._db.execute(OFFER, node_id, epoch, list(drivers), idempotent=True)

    async def drivers(self) -> frozenset[str]:
        """The drivers that any node of the farm offers."""
        rows = await self._db.fetch(DRIVERS, idempotent=True)
        return frozenset(row[0] for row in rows)

    async def leave(self, node_id: NodeId, epoch: int, *, guests_stay: bool) -> None:
        """End the lease; with `guests_stay` the node keeps its VMs and its state."""
        await self._db.execute(LEAVE, node_id, epoch, guests_stay, idempotent=True)

    async def fence(self, node_id: NodeId, grace_s: float = FENCE_GRACE_S) -> int:
        """Declare a node dead and its VMs stopped; returns their number.

        If its process still runs, its lease and its writes are refused from then on.
        Raises NotFound, Conflict while its lease has not been over for that long, and Unavailable
        just after the database was away: no node could renew its lease then.
        """
        async with self._db.transaction() as tx:
            wait_s = LEASE_TTL_S + grace_s - self._db.back_for_s
            if wait_s > 0:
                raise Unavailable(
                    "The database has just come back, and nodes that live have not all said so yet;"
                    f" try again in {math.ceil(wait_s)} s."
                )
            if row_count(await tx.execute(FENCE, node_id, grace_s)) == 1:
                return row_count(await tx.execute(STOP_ALL, node_id, "The host was given up."))
        node = await self.get(node_id)
        if node.state == "fenced":
            return 0
        raise Conflict(
            f"Node {node.name} is not gone: its lease must have been over for {grace_s:g} s."
        )

    async def remove(self, node_id: NodeId) -> None:
        """Refuse a node from now on; its name is free for another.

        Raises NotFound, and Conflict while it serves or owns VMs.
        """
        node = await self.get(node_id)
        if row_count(await self._db.execute(REMOVE, node_id, idempotent=True)) == 1:
            return
        if (await self.get(node_id)).state != "removed":
            raise Conflict(
                f"Node {node.name} serves, or is said to run desktops: stop it with"
                " node.stop_guests, or, if its host is gone, fence it first."
            )

    async def set_drain(self, node_id: NodeId, drain: Drain) -> None:
        """Have a node emptied, or have it start desktops again; it keeps this over its restarts.

        Raises NotFound.
        """
        tag = await self._db.execute(SET_DRAIN, node_id, drain, idempotent=True)
        changed(tag, KIND, node_id)

    async def homes(self, node_id: NodeId) -> int:
        """How many users have their home on that node."""
        return int(await self._db.fetchval(HOMES, node_id, idempotent=True))

    async def peers(self) -> Sequence[Node]:
        """All nodes, removed ones too."""
        return [_convert(row) for row in await self._db.fetch(PEERS, idempotent=True)]

    async def reset_after_reboot(self, membership: NodeMembership, boot_id: str) -> int:
        """Mark VMs as stopped that this node ran before the host's reboot; returns their number."""
        async with self._db.transaction() as tx:
            tag = await tx.execute(STOP_ALL, membership.node_id, "The host was restarted.")
            await tx.execute(SET_BOOT_ID, membership.node_id, membership.epoch, boot_id)
        return row_count(tag)

    async def get(self, node_id: NodeId) -> Node:
        """One node; raises NotFound."""
        row = await self._db.fetchrow(GET, node_id, idempotent=True)
        return _convert(found(row, KIND, node_id))

    async def is_alive(self, node_id: NodeId) -> bool:
        """Whether its lease runs; raises NotFound, Unavailable."""
        return (await self.get(node_id)).alive

    async def names(self, node_ids: Iterable[NodeId]) -> dict[NodeId, str]:
        """Return the names of these nodes."""
        rows = await self._db.fetch(NAMES, sorted(set(node_ids)), idempotent=True)
        return {NodeId(row["id"]): row["name"] for row in rows}

    async def list(self, page: Page) -> Listing[Node]:
        """One page of nodes."""
        return await read_list(self._db, LIST, page, {}, _convert)


def _convert(row: asyncpg.Record) -> Node:
    values = {item.name: row[item.name] for item in fields(Node)}
    drivers, drain = tuple(row["drivers"]), Drain(row["drain"])
    return Node(**{**values, "drivers": drivers, "drain": drain})
