"""Who may use which desktop: the checks that come before anything is written.

The order is the wire's (docs/protocol/qvd-wire.md): a VM of another tenant does not exist, one of
the same tenant that is somebody else's is forbidden, and so is a blocked one.
"""

from dataclasses import dataclass

from qvdnode.model.errors import Forbidden, NotFound
from qvdnode.model.farm import DesktopOrder, Vm
from qvdnode.model.ids import VmId
from qvdnode.model.principal import Principal


@dataclass(frozen=True, slots=True)
class Permission:
    """This principal may use this desktop: made by `Desktops.authorise`, once per request."""

    principal: Principal
    order: DesktopOrder
    """The desktop, as it was read for the check."""


def check(principal: Principal, vm_id: VmId, vm: Vm | None) -> Vm:
    """The VM if this principal may use it; raises NotFound or Forbidden with what to do."""
    if vm is None or vm.tenant_id != principal.tenant_id:
        raise NotFound(f"There is no desktop {vm_id}; list your desktops to see their numbers.")
    if vm.user_id != principal.user_id:
        raise Forbidden("This desktop belongs to somebody else.")
    if principal.only_vm is not None and principal.only_vm != vm.id:
        raise Forbidden("This login is for another desktop only.")
    if vm.blocked:
        raise Forbidden(
            "This desktop is offline for maintenance; ask your administrator when it is back."
        )
    return vm
