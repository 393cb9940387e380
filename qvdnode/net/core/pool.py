"""Assigns addresses of the guest network to VMs."""

from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from qvdnode.model.errors import Conflict, NodeFull
from qvdnode.model.ids import VmId


class AddressPool:
    """The addresses of one subnet; the first is the gateway's.

    A VM is given the address that follows from its id, or the next free one after it. So it
    keeps its address from start to start, also over a restart of the node, and nothing is stored.
    """

    def __init__(self, subnet: IPv4Network) -> None:
        self.subnet = subnet
        self.gateway = IPv4Interface((subnet.network_address + 1, subnet.prefixlen))
        self.capacity = subnet.num_addresses - 3
        """All but the network's, the gateway's and the broadcast address."""
        self._by_vm: dict[VmId, IPv4Address] = {}
        self._taken: set[IPv4Address] = set()

    def reserve(self, vm_id: VmId) -> IPv4Interface:
        """Reserve an address for this VM, the same until `release`; raises NodeFull."""
        address = self._by_vm.get(vm_id)
        if address is None:
            address = self._free_address(vm_id)
            self._hold(vm_id, address)
        return IPv4Interface((address, self.subnet.prefixlen))

    def adopt(self, vm_id: VmId, address: IPv4Address) -> None:
        """Take over an address that an earlier process assigned; raises Conflict."""
        if self._by_vm.get(vm_id) == address:
            return
        if not self.gateway.ip < address < self.subnet.broadcast_address:
            raise Conflict(
                f"VM {vm_id} runs with address {address}, which is not in {self.subnet}; "
                "stop it and start it again"
            )
        if address in self._taken:
            raise Conflict(f"VM {vm_id} runs with address {address}, which another VM has")
        self.release(vm_id)
        self._hold(vm_id, address)

    def release(self, vm_id: VmId) -> None:
        """Free a VM's address; safe to repeat."""
        address = self._by_vm.pop(vm_id, None)
        if address is not None:
            self._taken.discard(address)

    def _hold(self, vm_id: VmId, address: IPv4Address) -> None:
        self._by_vm[vm_id] = address
        self._taken.add(address)

    def _free_address(self, vm_id: VmId) -> IPv4Address:
        if len(self._taken) >= self.capacity:
            raise NodeFull(
                f"all {self.capacity} addresses of {self.subnet} are in use; "
                "stop a desktop or give [network] a larger subnet"
            )
        first = self.gateway.ip + 1
        for step in range(self.capacity):
            address = first + (vm_id - 1 + step) % self.capacity
            if address not in self._taken:
                return address
        raise AssertionError("the pool counts its addresses wrongly")
