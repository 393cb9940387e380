"""This node's place in the farm, which it may have to wait for while the database is away.

The fleet gets a VmStore at once; until the node has joined, every call of it says Unavailable, so
that a node started during an outage adopts and serves what runs, and starts nothing.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from qvdnode.cluster.lease_keeper import LeaseKeeper
from qvdnode.db.nodes import NodeMembership
from qvdnode.model.errors import Unavailable
from qvdnode.model.ids import Generation, NodeId, VmId
from qvdnode.model.vm_state import VmState
from qvdnode.vm.ports import VmStore

log = logging.getLogger(__name__)

NOT_JOINED: Final = (
    "The database is away since this node started: running desktops go on, new ones cannot start."
)


@dataclass(frozen=True, slots=True)
class _Place:
    seat: NodeMembership
    lease: LeaseKeeper
    ownership: VmStore


class Membership:
    """The place once there is one; a VmStore that says Unavailable until then."""

    def __init__(self, ownership: Callable[[NodeMembership], VmStore]) -> None:
        self._make_ownership = ownership
        self._place: _Place | None = None

    def enter(self, seat: NodeMembership, lease: LeaseKeeper) -> None:
        """The node has joined; from here on it may own VMs."""
        self._place = _Place(seat, lease, self._make_ownership(seat))
        log.info("node_joined", extra={"node": seat.node_id, "epoch": seat.epoch})

    @property
    def lease(self) -> LeaseKeeper | None:
        """This node's lease; None before it has joined."""
        return None if self._place is None else self._place.lease

    def node_id(self) -> NodeId | None:
        """This node's id; None before it has joined."""
        return None if self._place is None else self._place.seat.node_id

    def lease_ran_out(self) -> str | None:
        """A readiness check: why nothing may be started, or None."""
        return NOT_JOINED if self._place is None else self._place.lease.problem()

    async def acquire(self, vm_id: VmId) -> Generation:
        """As VmStore."""
        return await self._owned().acquire(vm_id)

    async def record(
        self, vm_id: VmId, generation: Generation, state: VmState, *, error: str | None = None
    ) -> None:
        """As VmStore."""
        await self._owned().record(vm_id, generation, state, error=error)

    async def release(
        self, vm_id: VmId, generation: Generation, state: VmState, *, error: str | None = None
    ) -> None:
        """As VmStore."""
        await self._owned().release(vm_id, generation, state, error=error)

    async def owned(self) -> Sequence[tuple[VmId, Generation, VmState]]:
        """As VmStore."""
        return await self._owned().owned()

    def _owned(self) -> VmStore:
        if self._place is None:
            raise Unavailable(NOT_JOINED)
        return self._place.ownership
