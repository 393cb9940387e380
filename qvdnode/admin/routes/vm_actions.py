"""Actions on a VM: start, stop, disconnect its client, read its log.

All are safe to repeat: starting a running VM and stopping a stopped one answer 200.
"""

import logging
from collections.abc import Awaitable
from typing import Any, Final

from pydantic import Field

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, ApiCall, Endpoint
from qvdnode.admin.reading import NoBody, NoQuery, Query
from qvdnode.admin.routes.vms import VmView, order_here, shown_now, view
from qvdnode.model.errors import (
    Conflict,
    FarmError,
    GuestFailed,
    HostFailed,
    LeaseLost,
    NodeFull,
    TimedOut,
    Unavailable,
)
from qvdnode.model.farm import Vm
from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import VmState
from qvdnode.session.starting import ask_a_host

log = logging.getLogger(__name__)

BEGUN: Final = 202


class WaitQuery(Query):
    """Whether to answer at once or when the action is done."""

    wait: bool = Field(default=False, description="Answer when it is done; else 202 at once.")


class Disconnected(AnswerModel):
    """Whether there was a client to disconnect."""

    disconnected: bool


class VmLog(AnswerModel):
    """The last lines of the VM's display and session."""

    text: str


async def start_vm(call: ApiCall[NoBody, WaitQuery]) -> VmView:
    """Start a VM without a client; raises NodeFull, with `wait` also GuestFailed and TimedOut."""
    parts = call.parts
    order = await parts.placement.settled(await parts.vms.order(VmId(call.id())))
    if await _state(call, order.vm) is VmState.RUNNING:
        return await view(parts, order.vm)
    place = await parts.hosts.starting(order)
    work = ask_a_host(parts.hosts, order, lambda host, asked: host.start(asked), first=place)
    _note(call, order.vm)
    return await _do(call, order.vm.id, "start", work)


async def stop_vm(call: ApiCall[NoBody, WaitQuery]) -> VmView:
    """Stop a VM: ask its desktop to end, then kill it. Without the database this works here too."""
    parts = call.parts
    vm = await _vm_or_running_order(call)
    if await _state(call, vm) is VmState.STOPPED:
        return await shown_now(parts, vm.id, await order_here(parts, vm.id))
    work = (await parts.hosts.running(vm.id, vm.owner_node)).stop(vm.id)
    _note(call, vm)
    return await _do(call, vm.id, "stop", work)


async def disconnect_vm(call: ApiCall[NoBody, NoQuery]) -> Disconnected:
    """Disconnect the client, if there is one. The desktop keeps running for the next client."""
    vm = await _vm_or_running_order(call)
    disconnected = await (await call.parts.hosts.running(vm.id, vm.owner_node)).disconnect(vm.id)
    if disconnected:
        _note(call, vm)
    return Disconnected(disconnected=disconnected)


async def show_log(call: ApiCall[NoBody, NoQuery]) -> VmLog:
    """Return the last log lines of the VM's recent starts and of its running guest.

    Raises NotFound when it was never started here.
    """
    vm = await _vm_or_running_order(call)
    return VmLog(text=await (await call.parts.hosts.running(vm.id, vm.owner_node)).log_tail(vm.id))


async def _vm_or_running_order(call: ApiCall[NoBody, Any]) -> Vm:
    """Return the VM; while the database is away, as it was when it started here."""
    vm_id = VmId(call.id())
    try:
        return await call.parts.vms.get(vm_id)
    except Unavailable:
        here = await order_here(call.parts, vm_id)
        if here is None:
            raise
        return here.vm


def _note(call: ApiCall[NoBody, Any], vm: Vm) -> None:
    call.changed("vm", vm.id, name=vm.name, user=vm.user_login)


async def _state(call: ApiCall[NoBody, WaitQuery], vm: Vm) -> VmState:
    status = await call.parts.hosts.status(vm)
    return vm.state if status is None else status.state


async def _do(
    call: ApiCall[NoBody, WaitQuery], vm_id: VmId, verb: str, work: Awaitable[None]
) -> VmView:
    here = await order_here(call.parts, vm_id)
    if call.query.wait:
        await work
    else:
        _ = call.parts.supervisor.isolated(f"{verb}-vm-{vm_id}", _unattended(vm_id, verb, work))
        call.status = BEGUN
    return await shown_now(call.parts, vm_id, here)


async def _unattended(vm_id: VmId, verb: str, work: Awaitable[None]) -> None:
    """Run the action and log a failure, since no request waits; the VM's `error` has it too."""
    try:
        await work
    except FarmError as error:
        log.warning("vm_action_failed", extra={"vm": vm_id, "verb": verb, "because": str(error)})


ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="POST",
        path="/vms/{id}/start",
        handler=start_vm,
        summary="Start a VM",
        tag="vms",
        body=NoBody,
        query=WaitQuery,
        answer=VmView,
        other_statuses=(BEGUN,),
        errors=(Conflict, LeaseLost, NodeFull, GuestFailed, HostFailed, TimedOut),
        action="vm.start",
    ),
    Endpoint(
        method="POST",
        path="/vms/{id}/stop",
        handler=stop_vm,
        summary="Stop a VM",
        tag="vms",
        body=NoBody,
        query=WaitQuery,
        answer=VmView,
        other_statuses=(BEGUN,),
        errors=(Conflict, LeaseLost, HostFailed, TimedOut),
        action="vm.stop",
    ),
    Endpoint(
        method="POST",
        path="/vms/{id}/disconnect",
        handler=disconnect_vm,
        summary="Disconnect the client of a VM",
        tag="vms",
        body=NoBody,
        query=NoQuery,
        answer=Disconnected,
        action="vm.disconnect",
    ),
    Endpoint(
        method="GET",
        path="/vms/{id}/log",
        handler=show_log,
        summary="Show the end of a VM's log",
        tag="vms",
        body=NoBody,
        query=NoQuery,
        answer=VmLog,
    ),
)
