"""What a node does between its place in the farm and its lease: before anybody uses it."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qvdnode.admin.parts import Accounts
from qvdnode.daemon.first_token import ensure_first_token
from qvdnode.db.nodes import Nodes
from qvdnode.image.home_backup.access import users_with_homes
from qvdnode.image.layout import Layout
from qvdnode.image.shared_homes import probe
from qvdnode.model.ids import NodeId

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Preparation:
    """What the node with that state folder prepares."""

    accounts: Accounts
    nodes: Nodes
    state_dir: Path
    first_id: int
    """The first uid that guests get."""
    homes_shared: bool
    """Whether the node shares its homes with others."""
    follow_rows: Callable[[], None]
    """Called first: the rows of the nodes can be read now, and not before a migration."""

    async def run(self, node_id: NodeId) -> None:
        """Have a first administrator, and tell the farm which homes are here.

        Raises Unavailable, HostFailed.
        """
        self.follow_rows()
        await ensure_first_token(self.accounts.operators, self.state_dir)
        layout = Layout(self.state_dir)
        mark = await probe(layout, self.first_id) if self.homes_shared else ""
        await self.nodes.set_homes(node_id, mark)
        homes = await asyncio.to_thread(users_with_homes, layout)
        claimed = await self.accounts.users.claim_homes(node_id, homes) if homes else 0
        if claimed:
            log.info("homes_claimed", extra={"homes": claimed})
