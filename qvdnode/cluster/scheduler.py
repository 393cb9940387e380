"""Chooses the node for a start and logs why."""

import logging
import random

from qvdnode.cluster.core.placement import Candidate, Placement, Wish, place
from qvdnode.cluster.ports import LoadSource
from qvdnode.model.errors import NodeFull
from qvdnode.model.ids import NodeId
from qvdnode.telemetry.metrics import Counter

log = logging.getLogger(__name__)

PLACED = Counter("qvdnode_placements", "Starts that were given a node, or refused", ["outcome"])


class Scheduler:
    """Applies the placement rules (core/placement.py) to the newest load of each node."""

    def __init__(self, source: LoadSource, rng: random.Random, *, sample: int = 2) -> None:
        self._source = source
        self._rng = rng
        self._sample = sample

    def choose(self, wish: Wish, *, ran_last: NodeId | None = None) -> NodeId:
        """The best node for it; raises NodeFull, with the reasons, when none can take it."""
        candidates = [
            Candidate(load, ran_last=load.node_id == ran_last) for load in self._source.loads()
        ]
        placement = place(wish, candidates, self._rng, sample=self._sample)
        if not placement.ranked:
            PLACED.labels("refused").inc()
            raise NodeFull(_why_none(placement))
        best = placement.ranked[0]
        PLACED.labels("placed").inc()
        log.info(
            "node_chosen",
            extra={"node": best.node_id, "score": round(best.score, 2), "because": best.because},
        )
        return best.node_id


def _why_none(placement: Placement) -> str:
    if not placement.refused:
        return "No node of the farm is up; try again in a minute."
    reasons = "; ".join(f"node {r.node_id}: {r.because}" for r in placement.refused)
    return f"No node can take one more desktop now ({reasons}); try again later."
