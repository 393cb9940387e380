"""/node: details of the node that answers; /nodes: all nodes of the farm, from the database."""

from collections import Counter
from dataclasses import asdict
from datetime import datetime
from typing import Final

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, ApiCall, Endpoint
from qvdnode.admin.reading import NoBody, NoQuery, PageQuery
from qvdnode.model.errors import Conflict
from qvdnode.model.ids import NodeId
from qvdnode.model.vm_state import VmState


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


class NodeView(AnswerModel):
    """One node of the farm."""

    id: int
    name: str
    address: str
    state: str
    alive: bool
    """Whether its lease is valid, by the database's clock."""
    joined_at: datetime
    drivers: list[str]
    """What flavours can name to be run here."""


class NodeList(AnswerModel):
    """All nodes."""

    items: list[NodeView]
    next_after: int | None


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
            DriverView(name=name, version=found.version, problem=found.problem)
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


async def list_nodes(call: ApiCall[NoBody, PageQuery]) -> NodeList:
    """Return one page of the farm's nodes."""
    listing = await call.parts.nodes.list(call.query.page())
    items = [
        NodeView(
            id=node.id,
            name=node.name,
            address=node.address,
            state=node.state,
            alive=node.alive,
            joined_at=node.joined_at,
            drivers=list(node.drivers),
        )
        for node in listing.items
    ]
    return NodeList(items=items, next_after=listing.next_after)


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
        query=PageQuery,
        answer=NodeList,
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
