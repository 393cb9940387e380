"""Chooses the node for a start and says why, before and after."""

import logging
import random
from collections.abc import Container, Sequence
from dataclasses import dataclass

from qvdnode.cluster.core import reasons
from qvdnode.cluster.core.placement import (
    Candidate,
    Load,
    Placement,
    Ranked,
    Refused,
    Wish,
    place,
    verdict,
)
from qvdnode.cluster.core.recent_starts import RecentStarts
from qvdnode.cluster.ports import LoadSource, NodeNames
from qvdnode.model.errors import NodeFull, Unavailable
from qvdnode.model.ids import NodeId
from qvdnode.runtime.clock import Clock
from qvdnode.telemetry.metrics import Counter

log = logging.getLogger(__name__)

PLACED = Counter("qvdnode_placements", "Starts that were given a node, or refused", ["outcome"])


@dataclass(frozen=True, slots=True)
class Choice:
    """The node for a start."""

    node_id: NodeId
    reasons: tuple[str, ...]
    """Sentences for a person: of the chosen node, of those it was compared with, of the others."""


class Scheduler:
    """Applies the placement rules (core/placement.py) to the newest load of each node."""

    def __init__(
        self,
        source: LoadSource,
        names: NodeNames,
        rng: random.Random,
        clock: Clock,
        *,
        sample: int = 2,
    ) -> None:
        self._source = source
        self._names = names
        self._rng = rng
        self._clock = clock
        self._sample = sample
        self._recent = RecentStarts()

    def choose(
        self, wish: Wish, *, ran_last: NodeId | None = None, without: Container[NodeId] = ()
    ) -> Choice:
        """The best node for it, not one of `without`, which have refused it just now.

        Raises NodeFull, with the reasons, when none can take it, and Unavailable while the node
        with the user's home is away.
        """
        loads = [load for load in self._source.loads() if load.node_id not in without]
        home = wish.home_node
        seen = {load.node_id for load in loads}
        if home is not None and not wish.home_at & (seen | _those(without, wish.home_at)):
            PLACED.labels("refused").inc()
            raise Unavailable(self._home_away(home))
        candidates = self._candidates(wish, loads, ran_last)
        placement = place(wish, candidates, self._rng, sample=self._sample)
        if not placement.ranked:
            PLACED.labels("refused").inc()
            raise NodeFull(self._why_none(wish, placement))
        best = placement.ranked[0]
        PLACED.labels("placed").inc()
        log.info(
            "node_chosen",
            extra={"node": best.node_id, "score": round(best.score, 2), "because": best.because},
        )
        self._recent.add(best.node_id, wish.memory_mib, self._clock.monotonic_s())
        return Choice(best.node_id, reasons.of_placement(placement, self._names.name))

    def verdicts(
        self, wish: Wish, *, ran_last: NodeId | None = None
    ) -> Sequence[tuple[Load, Ranked | Refused]]:
        """What a choice made now would go by: each node's load, and what follows for this start.

        Nodes whose load is not known are missing. Nothing is chosen, and nothing counted.
        """
        candidates = self._candidates(wish, self._source.loads(), ran_last)
        return [(candidate.load, verdict(wish, candidate)) for candidate in candidates]

    def _candidates(
        self, wish: Wish, loads: Sequence[Load], ran_last: NodeId | None
    ) -> list[Candidate]:
        now_s = self._clock.monotonic_s()
        return [
            Candidate(
                self._recent.counted(load, now_s),
                ran_last=load.node_id == ran_last,
                has_image=wish.image_bit is not None and load.may_have(wish.image_bit),
                has_home=load.node_id in wish.home_at,
            )
            for load in loads
        ]

    def _home_away(self, home: NodeId) -> str:
        files = f"The files of this desktop's user are on node {self._names.name(home)}"
        if self._names.removed(home):
            return (
                f"{files}, which was removed from the farm; an administrator can restore them on"
                " another node (`qvd user home`)."
            )
        return f"{files}, which is away; it starts when that node is back."

    def _why_none(self, wish: Wish, placement: Placement) -> str:
        if not placement.refused:
            return "No node of the farm is up; try again in a minute."
        for refused in placement.refused:
            if {refused.node_id} == wish.home_at:
                return (
                    "The files of this desktop's user are on node"
                    f" {self._names.name(refused.node_id)}, which cannot start it now:"
                    f" {refused.because}."
                )
        told = "; ".join(
            f"node {self._names.name(r.node_id)}: {r.because}" for r in placement.refused
        )
        return f"No node can take one more desktop now ({told}); try again later."


def _those(refused: Container[NodeId], nodes: frozenset[NodeId]) -> set[NodeId]:
    return {node_id for node_id in nodes if node_id in refused}
