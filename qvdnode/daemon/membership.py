"""This node's place in the farm, which it may have to wait for while the database is away.

The fleet gets a VmStore at once; until the node has joined, every call of it says Unavailable, so
that a node started during an outage adopts and serves what runs, and starts nothing.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from qvdnode.db.nodes import NodeSeat
from qvdnode.model.errors import Unavailable
from qvdnode.model.ids import Generation, NodeId, VmId
from qvdnode.model.vm_state import VmState
from qvdnode.vm.ports import VmStore

if TYPE_CHECKING:
    from qvdnode.cluster.lease_keeper import LeaseKeeper

log = logging.getLogger(__name__)

NOT_JOINED: Final = (
    "The database is away since this node started: running desktops go on, new ones cannot start."
)


class Membership:
    """Joins the farm when told to; a VmStore that says Unavailable until that has worked."""

    def __init__(
        self,
        join: Callable[[], Awaitable[NodeSeat]],
        ownership: Callable[[NodeSeat], VmStore],
    ) -> None:
        self._join = join
        self._make_ownership = ownership
        self._ownership: VmStore | None = None
        self._seat: NodeSeat | None = None
        self.lease: LeaseKeeper | None = None
        """Kept by whoever made this node join; None before."""

    @property
    def seat(self) -> NodeSeat | None:
        """Who this node is in the farm; None before it has joined."""
        return self._seat

    def node_id(self) -> NodeId | None:
        """This node's id; None before it has joined."""
        return None if self._seat is None else self._seat.node_id

    async def try_join(self) -> bool:
        """One attempt; False while the database is away, and then it may be tried again."""
        try:
            seat = await self._join()
        except Unavailable as error:
            log.warning("join_waits", extra={"because": str(error)})
            return False
        self._seat = seat
        self._ownership = self._make_ownership(seat)
        log.info("node_joined", extra={"node": seat.node_id, "epoch": seat.epoch})
        return True

    def not_joined(self) -> str | None:
        """A readiness check."""
        return NOT_JOINED if self._seat is None else None

    def lease_ran_out(self) -> str | None:
        """Why nothing may be started although this node has joined, or None."""
        return None if self.lease is None else self.lease.ran_out()

    async def acquire(self, vm_id: VmId) -> Generation:
        """As VmStore."""
        return await self._known()[1].acquire(vm_id)

    async def record(
        self, vm_id: VmId, generation: Generation, state: VmState, *, error: str | None = None
    ) -> None:
        """As VmStore."""
        await self._known()[1].record(vm_id, generation, state, error=error)

    async def release(
        self, vm_id: VmId, generation: Generation, state: VmState, *, error: str | None = None
    ) -> None:
        """As VmStore."""
        await self._known()[1].release(vm_id, generation, state, error=error)

    async def owned(self) -> Sequence[tuple[VmId, Generation, VmState]]:
        """As VmStore."""
        return await self._known()[1].owned()

    def _known(self) -> tuple[NodeSeat, VmStore]:
        if self._seat is None or self._ownership is None:
            raise Unavailable(NOT_JOINED)
        return self._seat, self._ownership
