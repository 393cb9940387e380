"""Which nodes have refused a start, and where it waits when all of them are busy. Pure.

Rule 1: so many refusals are enough; a start does not ask a whole farm.
Rule 2: when no other node can be asked, it waits at the busy node with the shortest queue, and of
equal ones at the one that was asked first, which placement liked best.
"""

from dataclasses import dataclass, field
from typing import Final

from qvdnode.model.errors import NodeBusy, NodeFull
from qvdnode.model.ids import NodeId

REDIRECTS_MAX: Final = 3


@dataclass(slots=True)
class Redirects:
    """The refusals of one start."""

    refused: dict[NodeId, str] = field(default_factory=dict)
    """Each node that was asked, and what it said."""
    queues: dict[NodeId, int] = field(default_factory=dict)
    """How many wait at each busy one."""

    def add(self, node_id: NodeId, error: NodeFull) -> None:
        """Note that the node refused the start."""
        self.refused[node_id] = str(error)
        if isinstance(error, NodeBusy):
            self.queues[node_id] = error.waiting

    @property
    def is_enough(self) -> bool:
        """Whether no further node is to be asked."""
        return len(self.refused) > REDIRECTS_MAX

    def wait_at(self) -> NodeId | None:
        """Where it waits if no other node takes it at once; None when none of them is busy only."""
        return min(self.queues, key=self.queues.__getitem__, default=None)
