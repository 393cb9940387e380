"""Chooses the node for a start and logs why."""

import logging
import random
from collections.abc import Container

from qvdnode.cluster.core.placement import Candidate, Placement, Wish, place
from qvdnode.cluster.core.recent_starts import RecentStarts
from qvdnode.cluster.ports import LoadSource
from qvdnode.model.errors import NodeFull, Unavailable
from qvdnode.model.ids import NodeId
from qvdnode.runtime.clock import Clock
from qvdnode.telemetry.metrics import Counter

log = logging.getLogger(__name__)

PLACED = Counter("qvdnode_placements", "Starts that were given a node, or refused", ["outcome"])


class Scheduler:
    """Applies the placement rules (core/placement.py) to the newest load of each node."""

    def __init__(
        self, source: LoadSource, rng: random.Random, clock: Clock, *, sample: int = 2
    ) -> None:
        self._source = source
        self._rng = rng
        self._clock = clock
        self._sample = sample
        self._recent = RecentStarts()

    def choose(
        self, wish: Wish, *, ran_last: NodeId | None = None, without: Container[NodeId] = ()
    ) -> NodeId:
        """The best node for it, not one of `without`, which have refused it just now.

        Raises NodeFull, with the reasons, when none can take it, and Unavailable while the node
        with the user's home is away.
        """
        now_s = self._clock.monotonic_s()
        loads = [load for load in self._source.loads() if load.node_id not in without]
        home = wish.home_node
        if home is not None and home not in without and all(n.node_id != home for n in loads):
            PLACED.labels("refused").inc()
            raise Unavailable(
                f"The files of this desktop's user are on node {home}, which is away; it starts"
                " when that node is back."
            )
        candidates = [
            Candidate(
                self._recent.counted(load, now_s),
                ran_last=load.node_id == ran_last,
                has_image=wish.image_bit is not None and load.may_have(wish.image_bit),
                has_home=wish.home_node == load.node_id,
            )
            for load in loads
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
        self._recent.add(best.node_id, wish.memory_mib, now_s)
        return best.node_id


def _why_none(placement: Placement) -> str:
    if not placement.refused:
        return "No node of the farm is up; try again in a minute."
    reasons = "; ".join(f"node {r.node_id}: {r.because}" for r in placement.refused)
    return f"No node can take one more desktop now ({reasons}); try again later."
