"""What can be done with a VM: start, stop, disconnect its client, read its log.

All are safe to repeat: starting what runs and stopping what is stopped answer 200.
"""

import logging
from collections.abc import Awaitable
from typing import Any, Final

from pydantic import Field

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, Asked, Endpoint
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

log = logging.getLogger(__name__)

BEGUN: Final = 202


class WaitQuery(Query):
    """Whether to answer at once or when it is done."""

    wait: bool = Field(default=False, description="Answer when it is done; else 202 at once.")


class Disconnected(AnswerModel):
    """Whether there was a client to disconnect."""

    disconnected: bool


class VmLog(AnswerModel):
    """The last lines of the VM's display and session."""

    text: str


async def start_vm(asked: Asked[NoBody, WaitQuery]) -> VmView:
    """Start a VM without a client; raises NodeFull, and GuestFailed, TimedOut if waited for."""
    parts = asked.parts
    order = await parts.vms.order(VmId(asked.id()))
    if await _state(asked, order.vm) is VmState.RUNNING:
        return await view(parts, order.vm)
    work = (await parts.hosts.starting(order)).start(order)
    _note(asked, order.vm)
    return await _do(asked, order.vm.id, "start", work)


async def stop_vm(asked: Asked[NoBody, WaitQuery]) -> VmView:
    """Stop a VM: its desktop is asked to end, then ended. What runs here needs no database."""
    parts = asked.parts
    vm = await _vm_or_what_runs(asked)
    if await _state(asked, vm) is VmState.STOPPED:
        return await shown_now(parts, vm.id, await order_here(parts, vm.id))
    work = (await parts.hosts.running(vm.id, vm.owner_node)).stop(vm.id)
    _note(asked, vm)
    return await _do(asked, vm.id, "stop", work)


async def disconnect_vm(asked: Asked[NoBody, NoQuery]) -> Disconnected:
    """Disconnect the client, if there is one; the desktop goes on and can be reached again."""
    vm = await _vm_or_what_runs(asked)
    disconnected = await (await asked.parts.hosts.running(vm.id, vm.owner_node)).disconnect(vm.id)
    if disconnected:
        _note(asked, vm)
    return Disconnected(disconnected=disconnected)


async def show_log(asked: Asked[NoBody, NoQuery]) -> VmLog:
    """The ends of the logs of the VM's last starts, and of the guest that runs.

    Raises NotFound when it was never started here.
    """
    vm = await _vm_or_what_runs(asked)
    return VmLog(text=await (await asked.parts.hosts.running(vm.id, vm.owner_node)).log_tail(vm.id))


async def _vm_or_what_runs(asked: Asked[NoBody, Any]) -> Vm:
    """The VM; while the database is away, as it was when it was started here."""
    vm_id = VmId(asked.id())
    try:
        return await asked.parts.vms.get(vm_id)
    except Unavailable:
        here = await order_here(asked.parts, vm_id)
        if here is None:
            raise
        return here.vm


def _note(asked: Asked[NoBody, Any], vm: Vm) -> None:
    asked.changed("vm", vm.id, name=vm.name, user=vm.user_login)


async def _state(asked: Asked[NoBody, WaitQuery], vm: Vm) -> VmState:
    status = await asked.parts.hosts.status(vm)
    return vm.state if status is None else status.state


async def _do(
    asked: Asked[NoBody, WaitQuery], vm_id: VmId, verb: str, work: Awaitable[None]
) -> VmView:
    here = await order_here(asked.parts, vm_id)
    if asked.query.wait:
        await work
    else:
        _ = asked.parts.supervisor.isolated(f"{verb}-vm-{vm_id}", _unattended(vm_id, verb, work))
        asked.status = BEGUN
    return await shown_now(asked.parts, vm_id, here)


async def _unattended(vm_id: VmId, verb: str, work: Awaitable[None]) -> None:
    """Nobody waits: the reason of a failure goes to the log, and the VM's `error` has it too."""
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
