"""This node's membership in the farm, which has to wait while the database is away.

The fleet gets a VmStore at once; until the node has joined, every call of it raises Unavailable, so
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
class _Joined:
    row: NodeMembership
    lease: LeaseKeeper
    ownership: VmStore


class Membership:
    """The membership once the node has joined; a VmStore that raises Unavailable until then."""

    def __init__(self, ownership: Callable[[NodeMembership], VmStore]) -> None:
        self._make_ownership = ownership
        self._joined: _Joined | None = None

    def enter(self, row: NodeMembership, lease: LeaseKeeper) -> None:
        """The node has joined; from here on it may own VMs."""
        self._joined = _Joined(row, lease, self._make_ownership(row))
        log.info("node_joined", extra={"node": row.node_id, "epoch": row.epoch})

    @property
    def row(self) -> NodeMembership | None:
        """The node's row and epoch; None before it has joined."""
        return None if self._joined is None else self._joined.row

    def seat(self) -> NodeMembership | None:
        """As `row`."""
        return self.row

    @property
    def lease(self) -> LeaseKeeper | None:
        """This node's lease; None before it has joined."""
        return None if self._joined is None else self._joined.lease

    def node_id(self) -> NodeId | None:
        """This node's id; None before it has joined."""
        return None if self._joined is None else self._joined.row.node_id

    def lease_problem(self) -> str | None:
        """A readiness check: why nothing may be started, or None."""
        return NOT_JOINED if self._joined is None else self._joined.lease.problem()

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
        if self._joined is None:
            raise Unavailable(NOT_JOINED)
        return self._joined.ownership
