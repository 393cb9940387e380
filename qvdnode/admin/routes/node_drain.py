"""/nodes/{id}/drain and undrain: take a node out of service without ending its sessions."""

from typing import Any, Final

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, ApiCall, Endpoint
from qvdnode.admin.reading import NoBody, NoQuery, RequestBody
from qvdnode.model.farm import Drain
from qvdnode.model.ids import NodeId


class DrainDraft(RequestBody):
    """How to empty a node."""

    move: bool = False
    """Whether to stop desktops that nobody has been connected to for a minute."""


class DrainedNode(AnswerModel):
    """What emptying a node means for its users."""

    drain: Drain
    homes: int
    """How many users have their home there: their desktops start nowhere else."""


async def drain_node(call: ApiCall[DrainDraft, NoQuery]) -> DrainedNode:
    """Start no more desktops on a node; those that run stay. It keeps this over its restarts."""
    return await _drain(call, Drain.MOVE if call.body.move else Drain.STAY)


async def undrain_node(call: ApiCall[NoBody, NoQuery]) -> DrainedNode:
    """Let a node start desktops again."""
    return await _drain(call, Drain.NO)


async def _drain(call: ApiCall[Any, NoQuery], drain: Drain) -> DrainedNode:
    node = await call.parts.nodes.get(NodeId(call.id()))
    await call.parts.nodes.set_drain(node.id, drain)
    call.changed("node", node.id, name=node.name, drain=drain.value)
    return DrainedNode(drain=drain, homes=await call.parts.nodes.homes(node.id))


ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="POST",
        path="/nodes/{id}/drain",
        handler=drain_node,
        summary="Start no more desktops on a node",
        tag="nodes",
        body=DrainDraft,
        query=NoQuery,
        answer=DrainedNode,
        action="node.drain",
    ),
    Endpoint(
        method="POST",
        path="/nodes/{id}/undrain",
        handler=undrain_node,
        summary="Let a node start desktops again",
        tag="nodes",
        body=NoBody,
        query=NoQuery,
        answer=DrainedNode,
        action="node.undrain",
    ),
)
