"""Placement in sentences, for administrators. Pure."""

from collections.abc import Callable

from qvdnode.cluster.core.placement import Placement, Ranked, Refused
from qvdnode.model.ids import NodeId

Name = Callable[[NodeId], str]


def of_placement(placement: Placement, name: Name) -> tuple[str, ...]:
    """A sentence for each node that was looked at: the chosen one first, the refused ones last."""
    best, *others = placement.ranked
    chosen = f"{name(best.node_id)} was chosen with {points(best)}."
    compared = (f"{name(other.node_id)} had {points(other)}." for other in others)
    refused = (f"{name(r.node_id)} could not take it: {r.because}." for r in placement.refused)
    return chosen, *compared, *refused


def of_verdict(verdict: Ranked | Refused, name: str) -> str:
    """What one node is worth for a start now."""
    if isinstance(verdict, Refused):
        return f"{name} cannot take it: {verdict.because}."
    return f"{name} can take it, with {points(verdict)}."


def points(ranked: Ranked) -> str:
    """The score with what it is made of."""
    parts = ", ".join(ranked.because)
    return f"{ranked.score:.1f} points" + (f" ({parts})" if parts else "")
