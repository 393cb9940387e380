"""Why each VM was last given its node: the reasons of that moment, for any node to tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from qvdnode.db.pool import Database
from qvdnode.model.ids import NodeId, VmId

# a VM that was deleted meanwhile has nothing to be told of
KEEP: Final = """
INSERT INTO vm_placement (vm_id, node_id, chosen_by, reasons)
SELECT id, $2, $3, $4 FROM vm WHERE id = $1
ON CONFLICT (vm_id) DO UPDATE SET
    node_id = $2, chosen_by = $3, reasons = $4, placed_at = clock_timestamp()
"""
LAST: Final = """
SELECT p.placed_at, n.name AS node, c.name AS chosen_by, p.reasons
FROM vm_placement p JOIN node n ON n.id = p.node_id JOIN node c ON c.id = p.chosen_by
WHERE p.vm_id = $1
"""


@dataclass(frozen=True, slots=True)
class PastPlacement:
    """The last choice of a node for a VM."""

    placed_at: datetime
    node: str
    """The name of the chosen node."""
    chosen_by: str
    """The name of the node that was asked for the desktop."""
    reasons: Sequence[str]
    """Sentences, of the chosen node first."""


class Placements:
    """The table of last placements."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def keep(
        self, vm_id: VmId, node_id: NodeId, chosen_by: NodeId, reasons: Sequence[str]
    ) -> None:
        """Replace what is known of the VM's last placement; raises Unavailable."""
        await self._db.execute(KEEP, vm_id, node_id, chosen_by, list(reasons), idempotent=True)

    async def last(self, vm_id: VmId) -> PastPlacement | None:
        """The VM's last placement, or None for one that was never placed; raises Unavailable."""
        row = await self._db.fetchrow(LAST, vm_id, idempotent=True)
        return None if row is None else PastPlacement(**dict(row))
