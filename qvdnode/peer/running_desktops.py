"""Which desktops each node of the farm runs, as the nodes tell each other. Pure.

While the database is away, this is how a node finds a user's desktops on other nodes. It is a hint:
the node that runs a desktop is asked before anything is done with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from qvdnode.model.ids import Generation, TenantId, UserId, VmId
from qvdnode.model.vm_state import UP
from qvdnode.vm.status import GuestStatus
from qvdnode.wire.typed_values import BadValue

NUMBERS: Final = 4
"""Of one desktop in a notice."""


@dataclass(frozen=True, slots=True)
class RunningDesktop:
    """A desktop that a node runs."""

    generation: Generation
    user_id: UserId
    tenant_id: TenantId


Running = Mapping[VmId, RunningDesktop]


@dataclass(frozen=True, slots=True)
class DesktopNews:
    """What has changed in the desktops that the sender runs."""

    whole: bool
    """Whether these are all that it runs: the first notice on a connection."""
    up: Sequence[int]
    """Four numbers for each desktop: VM, generation, user, tenant. Field names would take three
    times the room."""
    down: Sequence[int]
    """VMs that it does not run any more."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self.whole or self.up or self.down)


def running_of(statuses: Sequence[GuestStatus]) -> Running:
    """The desktops among these that a user can come back to."""
    return {
        status.order.vm.id: RunningDesktop(
            status.generation, status.order.vm.user_id, status.order.vm.tenant_id
        )
        for status in statuses
        if status.generation is not None and status.state in UP
    }


def news(before: Running | None, after: Running) -> DesktopNews:
    """What to tell a node that was told `before`; None for one that was told nothing."""
    known = {} if before is None else before
    up = [
        number
        for vm_id, one in after.items()
        if known.get(vm_id) != one
        for number in (vm_id, one.generation, one.user_id, one.tenant_id)
    ]
    return DesktopNews(before is None, up, [vm_id for vm_id in known if vm_id not in after])


def updated(before: Running, told: DesktopNews) -> dict[VmId, RunningDesktop]:
    """The table after a notice; raises BadValue."""
    if len(told.up) % NUMBERS:
        raise BadValue("not four numbers for each desktop", "up")
    after = {} if told.whole else dict(before)
    for vm_id in told.down:
        after.pop(VmId(vm_id), None)
    for at in range(0, len(told.up), NUMBERS):
        vm_id, generation, user_id, tenant_id = told.up[at : at + NUMBERS]
        after[VmId(vm_id)] = RunningDesktop(
            Generation(generation), UserId(user_id), TenantId(tenant_id)
        )
    return after
