"""Confinement without a kernel: the same addresses and names, and a record of what stands."""

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Network

from qvdnode.model.errors import HostFailed
from qvdnode.model.guest import GuestPort
from qvdnode.model.ids import VmId
from qvdnode.net.core import names
from qvdnode.net.core.pool import AddressPool

SUBNET = IPv4Network("10.99.0.0/24")


class FakeConfinement:
    """Keeps in memory what the real one keeps in the kernel.

    `confined` is what stands, by link; with `refusal` set, changes fail with that sentence.
    """

    def __init__(self, subnet: IPv4Network = SUBNET, *, prefix: str = "") -> None:
        self.confined: dict[str, GuestPort] = {}
        self.refusal: str | None = None
        self._prefix = prefix
        self._pool = AddressPool(subnet)
        self._reserved: dict[VmId, GuestPort] = {}

    async def reserve(self, vm_id: VmId, *, egress: bool) -> GuestPort:
        """An address, MAC and link name for this VM; raises NodeFull."""
        port = GuestPort(
            link=names.link_name(self._prefix, vm_id),
            mac=names.guest_mac(self._prefix, vm_id),
            address=self._pool.reserve(vm_id),
            gateway=self._pool.gateway.ip,
            egress=egress,
        )
        self._reserved[vm_id] = replace(self._reserved.get(vm_id, port), egress=egress)
        return self._reserved[vm_id]

    async def adopt(self, vm_id: VmId, port: GuestPort) -> None:
        """Mark a port as taken that an earlier process reserved; raises Conflict."""
        self._pool.adopt(vm_id, port.address.ip)
        self._reserved[vm_id] = port

    async def confine(self, port: GuestPort) -> None:
        """Remember that the rules stand."""
        self._refuse()
        self.confined[port.link] = port

    async def release(self, vm_id: VmId, port: GuestPort) -> None:
        """Forget rules and address."""
        self._refuse()
        self.confined.pop(port.link, None)
        self._reserved.pop(vm_id, None)
        self._pool.release(vm_id)

    async def reconcile(self, ports: Sequence[GuestPort]) -> Sequence[str]:
        """Let exactly these stand; there are no links to remove but those of the record."""
        self._refuse()
        wanted = {port.link: port for port in ports}
        removed = sorted(set(self.confined) - set(wanted))
        self.confined = wanted
        return removed

    def _refuse(self) -> None:
        if self.refusal is not None:
            raise HostFailed(self.refusal)
