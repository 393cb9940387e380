"""What other nodes have told of their desktops."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from qvdnode.model.ids import NodeId, TenantId, UserId, VmId


@dataclass
class MapOfDesktops:
    """Satisfies session.ports.DesktopMap."""

    places: dict[VmId, tuple[UserId, TenantId, NodeId]] = field(default_factory=dict)

    def node_of(self, vm_id: VmId) -> NodeId | None:
        """As DesktopMap."""
        return self.places[vm_id][2] if vm_id in self.places else None

    def desktops_of(self, user_id: UserId, tenant_id: TenantId) -> Mapping[VmId, NodeId]:
        """As DesktopMap."""
        return {
            vm_id: node_id
            for vm_id, (user, tenant, node_id) in self.places.items()
            if (user, tenant) == (user_id, tenant_id)
        }
