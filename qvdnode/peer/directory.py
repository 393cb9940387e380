"""Who the nodes of the farm are: the node rows, cached, with a copy on disk.

The rows are the truth. The copy lets a node that is started while the database is away know whom to
let in and where to dial, and is the only way there when the database is another node's.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from qvdnode.db.nodes import Node, Nodes
from qvdnode.model.errors import BadConfig, Unavailable
from qvdnode.model.farm import Drain
from qvdnode.model.ids import NodeId
from qvdnode.peer.farm_files import NodeAddress, parse_address, render_address
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.safe_files import replace_file
from qvdnode.tls.farm_authority import PeerIdentity

log = logging.getLogger(__name__)

FILE_NAME: Final = "peers.json"
REFRESH_EVERY_S: Final = 1.0
"""So long may a removed node still be let in."""
ASK_AGAIN_S: Final = 0.2
"""Rows are read at most this often for the sake of nodes that are not known."""
EMPTY_FIX: Final = "restore the database from a backup: qvdnode restore"


@dataclass(frozen=True, slots=True)
class Peer:
    """A node as this one knows it."""

    address: NodeAddress
    name: str
    serves: bool
    """Whether its lease ran when its row was read."""
    gossip_port: int = 0
    """Of the membership, at the same host; 0 while it is not known."""


class Directory:
    """The nodes of the farm, without those that were removed."""

    def __init__(self, path: Path, clock: Clock, known: Iterable[NodeAddress] = ()) -> None:
        """`known` are added to those of the copy at `path`, which knows more of a node."""
        self._path = path
        self._clock = clock
        named = [Peer(address, "", serves=True) for address in known]
        kept = _kept(path)
        self._peers = {peer.address.node_id: peer for peer in (*named, *kept)}
        self._removed: dict[NodeId, str] = {}
        self._drains: dict[NodeId, Drain] = {}
        self._homes: dict[NodeId, str] = {}
        self._nodes: Nodes | None = None
        self._told_empty = False
        self._asked_s = -ASK_AGAIN_S
        self._one_at_a_time = asyncio.Lock()
        self._changed: list[Callable[[], None]] = []

    def follow(self, nodes: Nodes) -> None:
        """Read the rows there from now on."""
        self._nodes = nodes

    def on_change(self, call: Callable[[], None]) -> None:
        """Call it after each change."""
        self._changed.append(call)

    def all(self) -> tuple[Peer, ...]:
        """Every node, this one included."""
        return tuple(self._peers.values())

    def get(self, node_id: NodeId) -> Peer:
        """One node; raises Unavailable for one that is not of the farm."""
        peer = self._peers.get(node_id)
        if peer is None:
            raise Unavailable(f"node {node_id} is not in this farm, or was removed")
        return peer

    def name(self, node_id: NodeId) -> str:
        """As cluster.ports.NodeNames."""
        peer = self._peers.get(node_id)
        known = self._removed.get(node_id, "") if peer is None else peer.name
        return known or str(node_id)

    def removed(self, node_id: NodeId) -> bool:
        """As cluster.ports.NodeNames."""
        return node_id in self._removed

    def removed_nodes(self) -> frozenset[NodeId]:
        """All nodes that were removed, as far as this one knows."""
        return frozenset(self._removed)

    def drain(self, node_id: NodeId) -> Drain:
        """Whether the node is being emptied, as far as this one knows."""
        return self._drains.get(node_id, Drain.NO)

    def with_homes_of(self, node_id: NodeId) -> frozenset[NodeId]:
        """The nodes that have the same homes as that one, itself included."""
        shared = self._homes.get(node_id)
        same = {other for other, mark in self._homes.items() if mark == shared}
        return frozenset({node_id, *same})

    def refusal(self, identity: PeerIdentity) -> str | None:
        """Why a node with this certificate is not let in, or None."""
        peer = self._peers.get(identity.node_id)
        if peer is None:
            return f"node {identity.node_id} is not in this farm, or was removed from it"
        if peer.address.key != identity.key_digest:
            return f"node {identity.node_id} has another key: this certificate was replaced"
        return None

    async def admit(self, identity: PeerIdentity) -> str | None:
        """As `refusal`, but reads the rows first when the node is not known: it may be new.

        Those that wait for it share one look.
        """
        began_s = self._clock.monotonic_s()
        async with self._one_at_a_time:
            if self.refusal(identity) is not None and self._asked_s < began_s:
                await self._clock.sleep(max(0.0, self._asked_s + ASK_AGAIN_S - began_s))
                await self.refresh()
        return self.refusal(identity)

    async def run(self) -> None:
        """Read the rows until cancelled."""
        while True:
            await self.refresh()
            await self._clock.sleep(REFRESH_EVERY_S)

    async def refresh(self) -> None:
        """Read the rows; while the database is away what is known stays."""
        if self._nodes is None:
            return
        self._asked_s = self._clock.monotonic_s()
        try:
            rows = await self._nodes.peers()
        except (Unavailable, BadConfig) as error:
            # At the very first start the tables are still being made; whoever joins the farm says
            # so if the database is a wrong one.
            log.debug("peers_not_read", extra={"because": str(error)})
            return
        self.learn(rows)

    def learn(self, rows: Iterable[Node]) -> None:
        """Take over the rows.

        No row at all is not believed: a farm has a node at least, so the table was emptied, or is
        another database's. Links and the copy on disk stay.
        """
        rows = list(rows)
        if not rows and self._peers:
            if not self._told_empty:
                log.error("node_table_empty", extra={"known": len(self._peers), "fix": EMPTY_FIX})
            self._told_empty = True
            return
        self._told_empty = False
        self._removed = {row.id: row.name for row in rows if row.state == "removed"}
        self._drains = {row.id: row.drain for row in rows}
        self._homes = {row.id: row.homes_id for row in rows if row.homes_id}
        peers = {row.id: peer for row in rows if (peer := _peer(row)) is not None}
        if peers == self._peers:
            return
        self._peers = peers
        self._keep()
        for call in self._changed:
            call()

    def _keep(self) -> None:
        plain = [
            {**render_address(peer.address), "name": peer.name, "gossip_port": peer.gossip_port}
            for peer in self._peers.values()
        ]
        try:
            replace_file(self._path, json.dumps(plain).encode())
        except OSError as error:
            log.warning("peers_not_kept", extra={"because": str(error)})


def _peer(row: Node) -> Peer | None:
    if row.state == "removed" or row.peer_key is None:
        return None
    address = NodeAddress(row.id, row.address, row.peer_port, row.peer_key)
    return Peer(address, row.name, serves=row.alive, gossip_port=row.gossip_port)


def _kept(path: Path) -> list[Peer]:
    try:
        return parse_kept(path.read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        log.warning("peers_file_damaged", extra={"file": str(path), "because": str(error)})
        return []


def parse_kept(content: bytes) -> list[Peer]:
    """The nodes in the copy; raises ValueError."""
    plain: Any = json.loads(content)
    try:
        return [
            Peer(
                parse_address(item),
                str(item.get("name", "")),
                serves=True,
                gossip_port=int(item.get("gossip_port", 0)),
            )
            for item in plain
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a field is missing or wrong: {error}") from error
