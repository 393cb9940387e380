"""Finds a user's desktops while the database is away: what this node runs, and what others do.

A node knows the orders that its guests were started with. Of other nodes it knows which VMs they
run and whose they are, and asks them for the rest.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

from qvdnode.model.errors import FarmError
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import NodeId, VmId
from qvdnode.model.principal import Principal
from qvdnode.session.hosts import Hosts
from qvdnode.session.ports import DesktopMap
from qvdnode.vm.status import GuestStatus

log = logging.getLogger(__name__)


class RunningDesktops:
    """What runs in the farm, as far as this node can tell without the database."""

    def __init__(self, hosts: Hosts, elsewhere: DesktopMap) -> None:
        self._hosts = hosts
        self._elsewhere = elsewhere

    async def of(self, principal: Principal) -> Sequence[GuestStatus]:
        """The principal's desktops that run. Nodes that do not answer are left out."""
        here = [
            status
            for status in await self._hosts.local.statuses()
            if status.order.vm.user_id == principal.user_id
        ]
        known = {status.order.vm.id for status in here}
        places = self._elsewhere.desktops_of(principal.user_id, principal.tenant_id)
        asked = [
            self._quietly(vm_id, node_id) for vm_id, node_id in places.items() if vm_id not in known
        ]
        answers = await asyncio.gather(*asked)
        return [*here, *(status for status in answers if status is not None)]

    async def order(self, vm_id: VmId) -> DesktopOrder | None:
        """The order with which the VM runs, its node in it; None when no node is known to run it.

        Raises Unavailable when the node that does cannot be asked.
        """
        status = await self._hosts.local.status(vm_id)
        if status is not None:
            return status.order
        node_id = self._elsewhere.node_of(vm_id)
        status = None if node_id is None else await self._status(vm_id, node_id)
        if status is None:
            return None
        # The order was read before the node took the VM, so it names the owner before.
        return replace(status.order, vm=replace(status.order.vm, owner_node=node_id))

    async def _quietly(self, vm_id: VmId, node_id: NodeId) -> GuestStatus | None:
        try:
            return await self._status(vm_id, node_id)
        except FarmError as error:
            log.info(
                "desktop_not_listed",
                extra={"vm": vm_id, "node": node_id, "because": str(error)},
            )
            return None

    async def _status(self, vm_id: VmId, node_id: NodeId) -> GuestStatus | None:
        return await (await self._hosts.running(vm_id, node_id)).status(vm_id)
