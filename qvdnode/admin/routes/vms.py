"""/vms: create, list, show, block and delete VMs. vm_actions.py starts and stops them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Final

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, ApiCall, Endpoint
from qvdnode.admin.fields import Id, Name
from qvdnode.admin.parts import AdminParts
from qvdnode.admin.reading import IdFilter, ListQuery, NoBody, NoQuery, RequestBody, sort_field
from qvdnode.model.errors import Conflict, HostFailed, NotFound, Unavailable
from qvdnode.model.farm import DesktopOrder, Vm
from qvdnode.model.ids import FlavourId, NodeId, TenantId, UserId, VmId
from qvdnode.model.image_lack import sentences, wishes_of
from qvdnode.model.vm_state import DisplayState, VmState
from qvdnode.session.hosts import Statuses
from qvdnode.vm.core.guest_limits import GuestLimit
from qvdnode.vm.status import GuestStatus


class VmDraft(RequestBody):
    """The body that creates a VM."""

    user_id: Id
    flavour_id: Id
    name: Name


class VmChange(RequestBody):
    """The fields of a VM that can change."""

    blocked: bool
    """Nobody can connect to a blocked VM, for example during maintenance."""


class VmView(AnswerModel):
    """A VM with its current state."""

    id: int
    name: str
    tenant_id: int
    tenant: str
    user_id: int
    user: str
    flavour_id: int
    flavour: str
    blocked: bool
    is_application: bool
    state: VmState
    display: DisplayState
    queue_place: int | None
    """Its place in the queue of starts, from 1; null when it does not wait."""
    viewer: bool
    """Whether a client is attached."""
    driver: str | None
    """What runs the guest; null while there is none."""
    address: str | None
    """The guest's address inside the node."""
    generation: int
    node_id: int | None
    node: str | None
    """The node that runs it."""
    error: str | None
    """Why the last start failed."""


class LimitView(AnswerModel):
    """A limit of its flavour that a guest has reached."""

    limit: GuestLimit
    count: int
    """How often: programs killed for want of memory, processes refused, times that it was full."""
    at: datetime | None
    """The last time; null when it was before the node was restarted."""


class VmDetail(VmView):
    """One VM with facts that are read from its guest."""

    since: datetime | None
    """When it entered `state`; null when it does not run on this node."""
    steps: dict[str, float]
    """Seconds that each step of the last start took."""
    last_end_at: datetime | None
    """When its last guest on this node ended; null when none has."""
    last_end: str | None
    """Why that guest ended."""
    last_lines: list[str]
    """The last lines of that guest's logs; the whole is in the VM's log."""
    limits_reached: list[LimitView]
    """Limits that its guest, or the last one if none runs, has reached."""
    lacking: list[str]
    """What its image lacks of what its flavour names, while it runs."""
    driver_warning: str | None
    """What makes its desktop worse on its node than it could be; null when nothing does."""
    memory_used_mib: int | None
    memory_limit_mib: int | None


class VmList(AnswerModel):
    """One page of VMs."""

    items: list[VmView]
    next_after: int | str | None
    total: int
    """How many items match on all pages; 50,000 for that many or more."""


class VmQuery(ListQuery):
    """Filters for VMs. `state` filters by the state in the database."""

    sort: str = sort_field("name", "user", "flavour", "state", "state_since", "created_at")
    tenant_id: int | None = IdFilter
    user_id: int | None = IdFilter
    flavour_id: int | None = IdFilter
    name: Name | None = None
    state: VmState | None = None
    node_id: int | None = IdFilter
    """The node that runs it."""


async def views(parts: AdminParts, vms: Sequence[Vm]) -> list[VmView]:
    """Return the views of VMs, with the names of their tenants and nodes."""
    tenants = await parts.accounts.tenants.names(vm.tenant_id for vm in vms)
    nodes = await parts.nodes.names(vm.owner_node for vm in vms if vm.owner_node is not None)
    # A running VM is shown in the state that its host reports, the others as in the database.
    statuses = await parts.hosts.statuses(vms)
    shown = [_view(vm, statuses.known.get(vm.id), tenants, nodes) for vm in vms]
    return [
        item if problem is None else item.model_copy(update={"error": item.error or problem})
        for item in shown
        for problem in [_problem(item, statuses)]
    ]


def _problem(item: VmView, statuses: Statuses) -> str | None:
    """Why the VM's node could not be asked, if it could not."""
    if item.id in statuses.known or item.node_id is None:
        return None
    return statuses.problems.get(NodeId(item.node_id))


async def view(parts: AdminParts, vm: Vm) -> VmView:
    """Return the view of one VM."""
    return (await views(parts, (vm,)))[0]


def _view(
    vm: Vm,
    status: GuestStatus | None,
    tenants: Mapping[TenantId, str],
    nodes: Mapping[NodeId, str],
) -> VmView:
    return VmView(
        id=vm.id,
        name=vm.name,
        tenant_id=vm.tenant_id,
        tenant=tenants.get(vm.tenant_id, ""),
        user_id=vm.user_id,
        user=vm.user_login,
        flavour_id=vm.flavour_id,
        flavour=vm.flavour,
        blocked=vm.blocked,
        is_application=vm.is_application,
        state=vm.state if status is None else status.state,
        display=DisplayState.OFF if status is None else status.display,
        queue_place=None if status is None else status.queue_place,
        viewer=status is not None and status.viewer,
        driver=None if status is None else status.driver,
        address=None if status is None else status.address,
        generation=(status and status.generation) or vm.generation,
        node_id=vm.owner_node,
        node=None if vm.owner_node is None else nodes.get(vm.owner_node),
        error=(status and status.error) or vm.error,
    )


async def view_here(parts: AdminParts, order: DesktopOrder) -> VmView:
    """Return the view of a VM from this node's own data, while the database is away."""
    vm, status = order.vm, await parts.hosts.local.status(order.vm.id)
    as_it_is = vm if status else replace(vm, state=VmState.STOPPED)
    shown = _view(as_it_is, status, {vm.tenant_id: order.user.tenant}, {})
    return shown.model_copy(update={"node": parts.facts().name if status else None})


async def order_here(parts: AdminParts, vm_id: VmId) -> DesktopOrder | None:
    """Return the order that the VM was started with; None when this node has no guest of it."""
    status = await parts.hosts.local.status(vm_id)
    return None if status is None else status.order


async def detail(parts: AdminParts, shown: VmView) -> VmDetail:
    """Return the VM with facts that are read from its guest."""
    vm_id = VmId(shown.id)
    owner = None if shown.node_id is None else NodeId(shown.node_id)
    try:
        host = await parts.hosts.running(vm_id, owner)
        memory, status = await host.memory(vm_id), await host.status(vm_id)
        past = await host.past_starts(vm_id)
    except (Conflict, Unavailable):  # its node cannot be asked, as its `error` says
        memory, status, past = None, None, ()
    last = past[-1] if past else None
    limits = status.limits if status is not None else last.limits if last is not None else ()
    return VmDetail(
        **shown.model_dump(),
        since=None if status is None else status.since,
        steps={} if status is None else dict(status.steps),
        last_end_at=None if last is None else last.ended_at,
        last_end=None if last is None else last.reason,
        last_lines=[] if last is None else last.last_lines,
        lacking=[] if status is None else await _lacking(parts, status.order),
        limits_reached=[LimitView(**asdict(limit)) for limit in limits],
        driver_warning=None if status is None else status.warning or None,
        memory_used_mib=None if memory is None else memory.used_bytes >> 20,
        memory_limit_mib=None if memory is None else memory.limit_bytes >> 20,
    )


async def _lacking(parts: AdminParts, order: DesktopOrder) -> list[str]:
    try:
        lacking = await parts.catalogue.contents.lacking_of(order)
    except HostFailed:
        return []  # it was logged at the start
    return sentences(wishes_of(order.flavour), lacking)


async def list_vms(call: ApiCall[NoBody, VmQuery]) -> VmList:
    """One page of VMs; while the database is away, those of one name that run here."""
    try:
        return await _listed(call)
    except Unavailable:
        here = await _named_here(call)
        if not here:
            raise
        return VmList(items=here, next_after=None, total=len(here))


async def _listed(call: ApiCall[NoBody, VmQuery]) -> VmList:
    query = call.query
    listing = await call.parts.vms.list(
        query.page(),
        tenant_id=None if query.tenant_id is None else TenantId(query.tenant_id),
        user_id=None if query.user_id is None else UserId(query.user_id),
        flavour_id=None if query.flavour_id is None else FlavourId(query.flavour_id),
        state=query.state,
        name=query.name,
        node_id=None if query.node_id is None else NodeId(query.node_id),
    )
    items = await views(call.parts, listing.items)
    return VmList(items=items, next_after=listing.next_after, total=listing.total)


async def _named_here(call: ApiCall[NoBody, VmQuery]) -> list[VmView]:
    # Only with a name, which asks for a certain VM: any other list would wrongly look complete.
    parts, query = call.parts, call.query
    if query.name is None:
        return []
    statuses = await parts.hosts.local.statuses()
    shown = [await view_here(parts, status.order) for status in statuses]
    wanted = query.model_dump(
        include={"tenant_id", "user_id", "flavour_id", "name", "state", "node_id"},
        exclude_none=True,
    )
    return [vm for vm in shown if wanted.items() <= vm.model_dump().items()]


async def create_vm(call: ApiCall[VmDraft, NoQuery]) -> VmView:
    """Create a VM. Raises NotFound: no such user or flavour; Conflict: the name is taken."""
    draft = call.body
    vm = await call.parts.vms.create(UserId(draft.user_id), FlavourId(draft.flavour_id), draft.name)
    call.changed("vm", vm.id, name=vm.name, user=vm.user_login, flavour=vm.flavour)
    return await view(call.parts, vm)


async def show_vm(call: ApiCall[NoBody, NoQuery]) -> VmDetail:
    """Return one VM; while the database is away, only one that runs here."""
    parts, vm_id = call.parts, VmId(call.id())
    here = await order_here(parts, vm_id)
    return await detail(parts, await shown_now(parts, vm_id, here))


async def shown_now(parts: AdminParts, vm_id: VmId, here: DesktopOrder | None) -> VmView:
    """Return the VM from the database; while that is away, from `here`; else raise Unavailable."""
    try:
        return await view(parts, await parts.vms.get(vm_id))
    except Unavailable:
        if here is None:
            raise
        return await view_here(parts, here)


async def change_vm(call: ApiCall[VmChange, NoQuery]) -> VmView:
    """Block or unblock a VM; an open session stays."""
    vm = await call.parts.vms.get(VmId(call.id()))
    blocked = call.body.blocked
    await call.parts.vms.set_blocked(vm.id, blocked=blocked)
    call.changed("vm", vm.id, name=vm.name, user=vm.user_login, blocked=blocked)
    return await view(call.parts, replace(vm, blocked=blocked))


async def delete_vm(call: ApiCall[NoBody, NoQuery]) -> None:
    """Delete a stopped VM; raises Conflict while it runs. The user's home stays."""
    vm = await call.parts.vms.get(VmId(call.id()))
    await call.parts.vms.delete(vm.id)
    call.changed("vm", vm.id, name=vm.name, user=vm.user_login)


ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path="/vms",
        handler=list_vms,
        summary="List VMs",
        tag="vms",
        body=NoBody,
        query=VmQuery,
        answer=VmList,
    ),
    Endpoint(
        method="POST",
        path="/vms",
        handler=create_vm,
        summary="Create a VM",
        tag="vms",
        body=VmDraft,
        query=NoQuery,
        answer=VmView,
        status=201,
        errors=(NotFound, Conflict),
        action="vm.create",
    ),
    Endpoint(
        method="GET",
        path="/vms/{id}",
        handler=show_vm,
        summary="Show a VM with its state",
        tag="vms",
        body=NoBody,
        query=NoQuery,
        answer=VmDetail,
    ),
    Endpoint(
        method="PATCH",
        path="/vms/{id}",
        handler=change_vm,
        summary="Block or unblock a VM",
        tag="vms",
        body=VmChange,
        query=NoQuery,
        answer=VmView,
        action="vm.change",
    ),
    Endpoint(
        method="DELETE",
        path="/vms/{id}",
        handler=delete_vm,
        summary="Delete a stopped VM",
        tag="vms",
        body=NoBody,
        query=NoQuery,
        status=204,
        errors=(Conflict,),
        action="vm.delete",
    ),
)
