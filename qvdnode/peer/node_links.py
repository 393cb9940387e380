"""The other nodes of the farm, each with a connection for calls."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Iterator, Mapping

from qvdnode.model.ids import NodeId, TenantId, UserId, VmId
from qvdnode.model.seat import ViewerEvent
from qvdnode.peer.limits import LinkLimits
from qvdnode.peer.ports import PeerDialer
from qvdnode.peer.remote_host import RemoteHost
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.supervise import Supervisor

log = logging.getLogger(__name__)


class NodeLinks(Mapping[NodeId, RemoteHost]):
    """The hosts of desktops that this node can ask, besides itself; `run` must be running."""

    def __init__(
        self,
        dialer: PeerDialer,
        deliver: Callable[[ViewerEvent], None],
        clock: Clock,
        limits: LinkLimits,
        rng: random.Random,
    ) -> None:
        """`deliver` takes events for clients of this node."""
        self._dialer = dialer
        self._deliver = deliver
        self._clock = clock
        self._limits = limits
        self._rng = rng
        self._hosts: dict[NodeId, RemoteHost] = {}
        self._tasks: dict[NodeId, asyncio.Task[None]] = {}
        self._supervisor: Supervisor | None = None

    def follow(self, node_ids: Iterable[NodeId]) -> None:
        """Have links to these nodes and no others."""
        wanted = set(node_ids)
        for node_id in self._hosts.keys() - wanted:
            del self._hosts[node_id]
            task = self._tasks.pop(node_id, None)
            if task is not None:
                task.cancel()
        for node_id in wanted - self._hosts.keys():
            host = RemoteHost(
                node_id, self._dialer, self._deliver, self._clock, self._limits, self._rng
            )
            self._hosts[node_id] = host
            self._link(node_id, host)

    async def run(self) -> None:
        """Keep the links, until cancelled."""
        async with Supervisor("peer-links") as self._supervisor:
            for node_id, host in self._hosts.items():
                self._link(node_id, host)
            await asyncio.Event().wait()

    def redial(self, node_id: NodeId) -> None:
        """The node is up again: link to it at once."""
        host = self._hosts.get(node_id)
        if host is not None:
            host.redial()

    def node_of(self, vm_id: VmId) -> NodeId | None:
        """As session.ports.DesktopMap."""
        found = [
            (host.running[vm_id].generation, node_id)
            for node_id, host in self._hosts.items()
            if vm_id in host.running
        ]
        return max(found)[1] if found else None

    def desktops_of(self, user_id: UserId, tenant_id: TenantId) -> Mapping[VmId, NodeId]:
        """As session.ports.DesktopMap."""
        vms = {
            vm_id
            for host in self._hosts.values()
            for vm_id, one in host.running.items()
            if (one.user_id, one.tenant_id) == (user_id, tenant_id)
        }
        places = {vm_id: self.node_of(vm_id) for vm_id in vms}
        return {vm_id: node_id for vm_id, node_id in places.items() if node_id is not None}

    def users(self) -> set[UserId]:
        """Everybody who has a desktop that another node runs."""
        return {one.user_id for host in self._hosts.values() for one in host.running.values()}

    def __getitem__(self, node_id: NodeId) -> RemoteHost:
        """The node of that id."""
        return self._hosts[node_id]

    def __iter__(self) -> Iterator[NodeId]:
        """The ids of the nodes."""
        return iter(self._hosts)

    def __len__(self) -> int:
        """How many nodes there are, without this one."""
        return len(self._hosts)

    def _link(self, node_id: NodeId, host: RemoteHost) -> None:
        if self._supervisor is not None:
            self._tasks[node_id] = self._supervisor.essential(f"node-{node_id}", host.run())
