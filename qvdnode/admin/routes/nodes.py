"""/node: details of the node that answers; /nodes: all nodes of the farm, from the database."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import Field

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, ApiCall, Endpoint
from qvdnode.admin.fields import NodeName
from qvdnode.admin.parts import PeerFacts
from qvdnode.admin.reading import ListQuery, NoBody, NoQuery, RequestBody, sort_field
from qvdnode.cluster.core.placement import SILENT_S, Load
from qvdnode.db.nodes import Node
from qvdnode.model.errors import Conflict
from qvdnode.model.farm import Drain
from qvdnode.model.ids import NodeId
from qvdnode.model.vm_state import VmState

WEEK_S: Final = 604_800
NOT_SERVING: Final[Mapping[str, str]] = {
    "invited": "it has not joined yet",
    "left": "it was stopped, and its desktops with it",
    "fenced": "it was given up: its host is taken to be off",
}


class NodeLoad(AnswerModel):
    """The current load of the node."""

    guests: dict[VmState, int]
    """The number of guests in each state; states without guests are left out."""
    viewers: int
    waiting: int
    """Starts in the queue."""
    memory_promised_mib: int
    """The sum of the memory limits of all guests that run or start."""


class DiskPromise(AnswerModel):
    """One file system that has roots or homes of desktops."""

    folder: str
    free_mib: int
    capacity_mib: int
    """How much may be promised to roots and homes."""
    promised_mib: int
    """The sum of the sizes of all roots of guests that run or start, and of all homes."""


class NodeLimits(AnswerModel):
    """The limits of the node."""

    guests_max: int
    starts_at_once_max: int
    memory_total_mib: int
    memory_available_mib: int
    memory_reserved_mib: int
    disk: list[DiskPromise]


class DriverView(AnswerModel):
    """Something that the node can run guests with."""

    name: str
    version: str | None
    problem: str | None
    """Why it can start no guest now; null when it can."""
    warning: str | None
    """What makes its desktops worse than they could be; null when nothing does."""
    fix: str | None
    """What to do about the problem or the warning; null without one."""


class ThisNode(AnswerModel):
    """The node that answers."""

    name: str
    version: str
    fingerprint: str
    client_port: int
    admin_port: int
    started_at: datetime
    not_ready: str | None
    """Why it cannot start desktops now; null when it can."""
    drivers: list[DriverView]
    load: NodeLoad
    limits: NodeLimits


class NodeFigures(AnswerModel):
    """The load of a node, as it last told."""

    guests: int
    guests_max: int
    waiting: int
    """Starts in its queue."""
    memory_promised_mib: int
    memory_capacity_mib: int
    """How much may be promised to guests."""
    suspect: bool
    """Whether other nodes miss its answers."""
    age_s: float
    """How old the figures are."""


class NodeView(AnswerModel):
    """One node of the farm."""

    id: int
    name: str
    address: str
    peer_port: int
    program: str
    """The version of its program."""
    state: str
    alive: bool
    """Whether its lease is valid, by the database's clock."""
    joined_at: datetime
    drivers: list[str]
    """What flavours can name to be run here."""
    here: bool
    """Whether it is the node that answers."""
    reached: bool | None
    """Whether the node that answers reached it when it last tried; null for none of both."""
    age_s: float | None
    """How long ago that was."""
    reason: str | None
    """Why no desktop starts there, or what else is wrong with it; null for a healthy node."""
    drain: Drain
    """Whether it is being emptied."""
    load: NodeFigures | None
    """Null while the node that answers knows nothing of it."""
    runs_database: bool
    """Whether it runs the farm's embedded database; while it is away the farm starts nothing."""


class NodeList(AnswerModel):
    """All nodes."""

    items: list[NodeView]
    next_after: int | str | None
    total: int
    """How many items match on all pages; 50,000 for that many or more."""


class NodeQuery(ListQuery):
    """How nodes are listed."""

    sort: str = sort_field("name", "state")


class InvitationDraft(RequestBody):
    """Who is invited."""

    name: NodeName | None = None
    """The one name that may join; null for any."""
    life_s: Annotated[int, Field(ge=60, le=WEEK_S)] | None = None
    """How long the token is good for; null for what the node is configured for."""


class InvitationView(AnswerModel):
    """What a new host needs to join. The token is good once, and is not shown again."""

    url: str
    token: str
    command: str
    """What to type on the new host."""
    expires_at: datetime


class FencedNode(AnswerModel):
    """The result of fencing a node."""

    vms_stopped: int
    """How many VMs it owned; they are recorded as stopped."""


async def show_node(call: ApiCall[NoBody, NoQuery]) -> ThisNode:
    """Return the details of the node that answers."""
    facts = call.parts.facts()
    return ThisNode(
        name=facts.name,
        version=facts.version,
        fingerprint=facts.fingerprint,
        client_port=facts.client_port,
        admin_port=facts.admin_port,
        started_at=facts.started_at,
        not_ready=call.parts.not_ready(),
        drivers=[
            DriverView(
                name=name,
                version=found.version,
                problem=found.problem,
                warning=found.warning or None,
                fix=found.fix or None,
            )
            for name, found in sorted(facts.drivers.items())
        ],
        load=await _load(call),
        limits=NodeLimits(
            guests_max=facts.guests_max,
            starts_at_once_max=facts.starts_at_once_max,
            memory_total_mib=facts.memory_total_mib,
            memory_available_mib=facts.memory_available_mib,
            memory_reserved_mib=facts.memory_reserved_mib,
            disk=[DiskPromise(**asdict(store)) for store in facts.disk],
        ),
    )


async def _load(call: ApiCall[NoBody, NoQuery]) -> NodeLoad:
    statuses, load = await call.parts.hosts.local.statuses(), call.parts.load()
    return NodeLoad(
        guests=dict(Counter(status.state for status in statuses)),
        viewers=sum(status.viewer for status in statuses),
        waiting=load.starts_queued,
        memory_promised_mib=load.promised_mib,
    )


async def list_nodes(call: ApiCall[NoBody, NodeQuery]) -> NodeList:
    """Return one page of the farm's nodes."""
    listing = await call.parts.nodes.list(call.query.page())
    loads = _loads(call)
    items = [_view(call, node, loads) for node in listing.items]
    return NodeList(items=items, next_after=listing.next_after, total=listing.total)


async def show_one(call: ApiCall[NoBody, NoQuery]) -> NodeView:
    """Return one node of the farm."""
    return _view(call, await call.parts.nodes.get(NodeId(call.id())), _loads(call))


def _loads(call: ApiCall[Any, Any]) -> Mapping[NodeId, Load]:
    return {load.node_id: load for load in call.parts.placement.loads()}


def _view(call: ApiCall[Any, Any], node: Node, loads: Mapping[NodeId, Load]) -> NodeView:
    facts, load = call.parts.farm.facts(node.id), loads.get(node.id)
    return NodeView(
        id=node.id,
        name=node.name,
        address=node.address,
        peer_port=node.peer_port,
        program=node.program,
        state=node.state,
        alive=node.alive,
        joined_at=node.joined_at,
        drivers=list(node.drivers),
        here=facts.here,
        reached=facts.reached,
        age_s=facts.age_s,
        reason=_reason(node, facts, load),
        drain=node.drain,
        load=None if load is None else _figures(load),
        runs_database=facts.runs_database,
    )


def _figures(load: Load) -> NodeFigures:
    return NodeFigures(
        guests=load.guests,
        guests_max=load.guests_max,
        waiting=load.starts_waiting,
        memory_promised_mib=load.promised_mib,
        memory_capacity_mib=load.capacity_mib,
        suspect=load.suspect,
        age_s=round(load.age_s, 1),
    )


def _reason(node: Node, facts: PeerFacts, load: Load | None) -> str | None:
    """The most important of what is wrong with a node."""
    if node.state != "up":
        return NOT_SERVING.get(node.state)
    told = (
        (not node.alive, "it has not renewed its lease; its desktops go on if it lives"),
        (facts.reason is not None, facts.reason),
        (load is None and not facts.here, "it has not told its load yet"),
        (load is not None and load.suspect, "other nodes miss its answers"),
        (load is not None and load.age_s > SILENT_S, "it has told nothing of its load for long"),
        (node.drain is not Drain.NO, "an administrator empties it"),
    )
    return next((why for applies, why in told if applies), None)


async def invite_node(call: ApiCall[InvitationDraft, NoQuery]) -> InvitationView:
    """Invite one host; it joins with the command of the answer."""
    body = call.body
    made = await call.parts.farm.invite(name=body.name, life_s=body.life_s)
    call.changed("node", body.name or "any", expires_at=made.expires_at.isoformat())
    return InvitationView(
        url=made.url,
        token=made.token,
        command=f"qvdnode join {made.url} --token {made.token}",
        expires_at=made.expires_at,
    )


async def remove_node(call: ApiCall[NoBody, NoQuery]) -> None:
    """Remove a node that does not serve: no other node speaks with it any more."""
    node = await call.parts.nodes.get(NodeId(call.id()))
    await call.parts.nodes.remove(node.id)
    call.changed("node", node.id, name=node.name)


async def fence_node(call: ApiCall[NoBody, NoQuery]) -> FencedNode:
    """Fence a node whose host is off; other nodes may start its VMs at once."""
    node = await call.parts.nodes.get(NodeId(call.id()))
    stopped = await call.parts.nodes.fence(node.id)
    call.changed("node", node.id, name=node.name, vms_stopped=stopped)
    return FencedNode(vms_stopped=stopped)


ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path="/node",
        handler=show_node,
        summary="Show the node that answers",
        tag="nodes",
        body=NoBody,
        query=NoQuery,
        answer=ThisNode,
    ),
    Endpoint(
        method="GET",
        path="/nodes",
        handler=list_nodes,
        summary="List all nodes",
        tag="nodes",
        body=NoBody,
        query=NodeQuery,
        answer=NodeList,
    ),
    Endpoint(
        method="GET",
        path="/nodes/{id}",
        handler=show_one,
        summary="Show one node",
        tag="nodes",
        body=NoBody,
        query=NoQuery,
        answer=NodeView,
    ),
    Endpoint(
        method="POST",
        path="/nodes/invite",
        handler=invite_node,
        summary="Invite a host to join the farm",
        tag="nodes",
        body=InvitationDraft,
        query=NoQuery,
        answer=InvitationView,
        status=201,
        action="node.invite",
    ),
    Endpoint(
        method="DELETE",
        path="/nodes/{id}",
        handler=remove_node,
        summary="Remove a node that does not serve",
        tag="nodes",
        body=NoBody,
        query=NoQuery,
        status=204,
        errors=(Conflict,),
        action="node.remove",
    ),
    Endpoint(
        method="POST",
        path="/nodes/{id}/fence",
        handler=fence_node,
        summary="Fence a node whose host is off",
        tag="nodes",
        body=NoBody,
        query=NoQuery,
        answer=FencedNode,
        errors=(Conflict,),
        action="node.fence",
    ),
)
