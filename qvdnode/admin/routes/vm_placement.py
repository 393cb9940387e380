"""/vms/{id}/placement: why a VM runs where it runs, and where a start now could go."""

from datetime import datetime
from typing import Final

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, ApiCall, Endpoint
from qvdnode.admin.parts import AdminParts
from qvdnode.admin.reading import NoBody, NoQuery
from qvdnode.admin.routes.vms import view
from qvdnode.cluster.core.placement import Load, Ranked, Refused
from qvdnode.cluster.core.reasons import of_verdict
from qvdnode.db.nodes import Node
from qvdnode.model.errors import Conflict
from qvdnode.model.ids import NodeId, VmId
from qvdnode.model.vm_state import VmState


class LastPlacement(AnswerModel):
    """The last choice of a node for the VM."""

    placed_at: datetime
    node: str
    chosen_by: str
    """The node that was asked for the desktop."""
    reasons: list[str]
    """Sentences: of the chosen node, of those it was compared with, of those that could not."""


class PlacementNode(AnswerModel):
    """What a node is worth for a start now."""

    id: int
    name: str
    takes: bool
    """Whether it could start the VM now."""
    score: float | None
    """The sum of the parts; null for a node that could not start it."""
    parts: dict[str, float]
    """What gave points, and how many."""
    because: str
    """The same as a sentence; for a node that could not start it, why."""
    age_s: float | None
    """How old the figures of its load are; null for none."""


class VmPlacement(AnswerModel):
    """Why a VM runs where it runs, and where a start now could go, as this node sees it."""

    id: int
    name: str
    user: str
    state: VmState
    node: str | None
    """The node that runs it."""
    home: str | None
    """The node with the user's home; null before there is one."""
    summary: str
    """Where it runs, or where a start now would go."""
    last: LastPlacement | None
    """Null when it was not started since nodes keep their reasons."""
    nodes: list[PlacementNode]
    """Every node of the farm, as it would be judged for a start now."""


async def show_placement(call: ApiCall[NoBody, NoQuery]) -> VmPlacement:
    """Return the reasons of the last start, and a dry run of the next; raises NotFound, Conflict.

    Nothing is started. A start compares two random nodes that can take the VM, and all that have
    its user's home: the best of the whole list is not always chosen.
    """
    parts, vm_id = call.parts, VmId(call.id())
    order = await parts.vms.order(vm_id)
    shown, last = await view(parts, order.vm), await parts.placement.past.last(vm_id)
    nodes = await parts.nodes.peers()
    known = {load.node_id: (load, said) for load, said in parts.placement.now.verdicts(order)}
    home = next((node for node in nodes if node.id == order.user.home_node), None)
    judged = [
        _judged(known[node.id], node) if node.id in known else _unknown(parts, node)
        for node in nodes
        if node.state != "removed"
    ]
    return VmPlacement(
        id=shown.id,
        name=shown.name,
        user=shown.user,
        state=shown.state,
        node=shown.node,
        home=None if home is None else home.name,
        summary=_summary(shown.node, home, judged),
        last=None if last is None else LastPlacement(**_plain(last)),
        nodes=judged,
    )


def _plain(last: object) -> dict[str, object]:
    return {name: getattr(last, name) for name in LastPlacement.model_fields}


def _judged(known: tuple[Load, Ranked | Refused], node: Node) -> PlacementNode:
    load, said = known
    ranked = said if isinstance(said, Ranked) else None
    return PlacementNode(
        id=node.id,
        name=node.name,
        takes=ranked is not None,
        score=None if ranked is None else round(ranked.score, 1),
        parts={} if ranked is None else {what: round(points, 1) for what, points in ranked.parts},
        because=of_verdict(said, node.name),
        age_s=round(load.age_s, 1),
    )


def _unknown(parts: AdminParts, node: Node) -> PlacementNode:
    reason = parts.farm.facts(node.id).reason
    if not node.alive:
        why = "it does not serve" if node.state != "invited" else "it has not joined yet"
    else:
        why = "nothing is known of its load" + (f" ({reason})" if reason else "")
    return PlacementNode(
        id=node.id,
        name=node.name,
        takes=False,
        score=None,
        parts={},
        because=f"{node.name} cannot take it: {why}.",
        age_s=None,
    )


def _summary(runs_on: str | None, home: Node | None, judged: list[PlacementNode]) -> str:
    if runs_on is not None:
        return f"It runs on {runs_on}."
    if home is not None and home.state == "removed":
        return (
            f"It cannot start: its user's home is on {home.name}, which was removed from the farm."
            " Restore the home on another node, then `qvd user home`."
        )
    can = sorted((node for node in judged if node.takes), key=lambda node: -(node.score or 0))
    if can:
        others = f"; {len(can)} nodes can take it" if len(can) > 1 else ""
        return f"It does not run; {can[0].name} is the best node for a start now{others}."
    if home is None:
        return "It cannot start now: no node can take it."
    at_home = next(node.because for node in judged if node.id == NodeId(home.id))
    return f"It cannot start now: its user's home is on {home.name}. {at_home}"


ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path="/vms/{id}/placement",
        handler=show_placement,
        summary="Tell why a VM runs where it runs, and where a start now could go",
        tag="vms",
        body=NoBody,
        query=NoQuery,
        answer=VmPlacement,
        errors=(Conflict,),
    ),
)
