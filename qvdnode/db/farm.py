"""The farm itself: its authority, its sealed secrets, and the invitations of new nodes.

The database never has the key that opens the secrets; see docs/decisions for why they are here.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from qvdnode.db.pool import Database
from qvdnode.model.errors import Conflict, Forbidden
from qvdnode.model.ids import FarmId, NodeId
from qvdnode.runtime.tokens import digest

GET: Final = "SELECT farm_id, authority, sealed FROM farm WHERE id = 1"
CREATE: Final = """
INSERT INTO farm (farm_id, authority, sealed) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING
"""
REPLACE: Final = """
UPDATE farm SET authority = $2, sealed = $3, made_at = clock_timestamp()
WHERE farm_id = $1 AND authority = $4
"""
RESEAL: Final = "UPDATE farm SET sealed = $2 WHERE farm_id = $1 AND sealed = $3"
INVITE: Final = """
INSERT INTO node_invitation (digest, name, expires_at)
VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3)) RETURNING expires_at
"""
SWEEP: Final = (
    "DELETE FROM node_invitation WHERE expires_at < clock_timestamp() - interval '7 days'"
)
HOLD: Final = """
SELECT i.id, i.name, i.node_id, i.expires_at < clock_timestamp() AS expired, n.peer_key,
    n.state = 'removed' AS removed
FROM node_invitation i LEFT JOIN node n ON n.id = i.node_id
WHERE i.digest = $1 FOR UPDATE OF i
"""
CLASH: Final = """
SELECT name, address, peer_port, name = $1 AS same_name FROM node
WHERE state <> 'removed' AND (name = $1 OR (address = $2 AND peer_port = $3 AND $3 <> 0))
ORDER BY same_name DESC LIMIT 1
"""
ADD_NODE: Final = """
INSERT INTO node (name, address, peer_port, peer_key, boot_id, epoch, state, lease_until)
VALUES ($1, $2, $3, $4, '', 0, 'invited', clock_timestamp()) RETURNING id
"""
REDEEM: Final = "UPDATE node_invitation SET node_id = $2 WHERE id = $1"

UNKNOWN: Final = (
    "The token is unknown to this farm. Give it as `qvd node invite` printed it, or ask for a new"
    " invitation."
)
EXPIRED: Final = "The invitation has expired; run `qvd node invite` again."
USED: Final = "Another host has joined with this token; run `qvd node invite` again."


@dataclass(frozen=True, slots=True)
class FarmRow:
    """What the database has of the farm."""

    farm_id: FarmId
    authority: str
    """The certificate of the authority, in PEM."""
    sealed: bytes
    """The secrets, which joined nodes can open."""


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A host that asks to become a node."""

    name: str
    address: str
    port: int
    """0 for one that it tells when it starts."""
    key: bytes
    """Digest of its public key."""


class Farm:
    """The tables of the farm and of its invitations."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def get(self) -> FarmRow | None:
        """What there is of the farm; None for one that no node has made yet."""
        row = await self._db.fetchrow(GET, idempotent=True)
        return None if row is None else FarmRow(**dict(row))

    async def create(self, row: FarmRow) -> FarmRow:
        """Make the farm, or return what another node made at the same time."""
        await self._db.execute(CREATE, row.farm_id, row.authority, row.sealed, idempotent=True)
        made = await self.get()
        return row if made is None else made

    async def replace(self, before: FarmRow, after: FarmRow) -> None:
        """Give the farm another authority; raises Conflict when it has changed meanwhile."""
        values = (after.farm_id, after.authority, after.sealed, before.authority)
        if await self._db.execute(REPLACE, *values) != "UPDATE 1":
            raise Conflict("Another node has replaced the farm's authority; join that one.")

    async def reseal(self, before: FarmRow, sealed: bytes) -> bool:
        """Replace the sealed secrets; False when another node has replaced them meanwhile."""
        tag = await self._db.execute(RESEAL, before.farm_id, sealed, before.sealed)
        return tag == "UPDATE 1"

    async def invite(self, token: str, *, name: str | None, life_s: float) -> datetime:
        """Store an invitation, its token as a digest; returns when it expires."""
        await self._db.execute(SWEEP, idempotent=True)
        expires: datetime = await self._db.fetchval(INVITE, digest(token), name, life_s)
        return expires

    async def redeem(self, token: str, newcomer: Newcomer) -> NodeId:
        """Make the newcomer a node. The same host may repeat it, as after a lost answer.

        Raises Forbidden for an unknown, expired or used token, and for another name than invited;
        Conflict when a node has its name or its address.
        """
        async with self._db.transaction() as tx:
            row = await tx.fetchrow(HOLD, digest(token))
            if row is None:
                raise Forbidden(UNKNOWN)
            if row["expired"]:
                raise Forbidden(EXPIRED)
            if row["node_id"] is not None:
                # A node that was removed would get the farm's secrets of today.
                if row["peer_key"] != newcomer.key or row["removed"]:
                    raise Forbidden(USED)
                return NodeId(row["node_id"])
            if row["name"] not in (None, newcomer.name):
                raise Forbidden(
                    f"The invitation is for a node named {row['name']}, and this host's is"
                    f" {newcomer.name}: set [node] name, or ask for another invitation."
                )
            clash = await tx.fetchrow(CLASH, newcomer.name, newcomer.address, newcomer.port)
            if clash is not None:
                raise Conflict(_clash(newcomer, same_name=clash["same_name"], other=clash["name"]))
            added = await tx.fetchval(
                ADD_NODE, newcomer.name, newcomer.address, newcomer.port, newcomer.key
            )
            await tx.execute(REDEEM, row["id"], added)
        return NodeId(added)


def _clash(newcomer: Newcomer, *, same_name: bool, other: str) -> str:
    if same_name:
        return (
            f"The farm has a node named {other} already: set another [node] name here, or remove"
            " that node first."
        )
    return (
        f"The node {other} has the address {newcomer.address} port {newcomer.port} already: set"
        " another [peer] advertise or port here, or remove that node first."
    )
