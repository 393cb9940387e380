"""This node's place in the farm, which it may have to wait for while the database is away.

The fleet gets a VmStore at once; until the node has joined, every call of it says Unavailable, so
that a node started during an outage adopts and serves what runs, and starts nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from qvdnode.db.nodes import NodeSeat
from qvdnode.db.ownership import Ownership
from qvdnode.model.errors import Unavailable
from qvdnode.model.ids import Generation, NodeId, VmId
from qvdnode.model.vm_state import VmState
from qvdnode.runtime.clock import Clock

log = logging.getLogger(__name__)

RETRY_S: Final = 2.0
NOT_JOINED: Final = (
    "The database is away since this node started: running desktops go on, new ones cannot start."
)


class Membership:
    """Joins the farm, now or as soon as the database answers; a VmStore that waits for that."""

    def __init__(
        self,
        clock: Clock,
        join: Callable[[], Awaitable[NodeSeat]],
        ownership: Callable[[NodeSeat], Ownership],
    ) -> None:
        self._clock = clock
        self._join = join
        self._make_ownership = ownership
        self._ownership: Ownership | None = None
        self._seat: NodeSeat | None = None
        self._joined = asyncio.Event()

    @property
    def seat(self) -> NodeSeat | None:
        """Who this node is in the farm; None before it has joined."""
        return self._seat

    def node_id(self) -> NodeId | None:
        """This node's id; None before it has joined."""
        return None if self._seat is None else self._seat.node_id

    async def try_join(self) -> bool:
        """One attempt; False while the database is away."""
        try:
            seat = await self._join()
        except Unavailable as error:
            log.warning("join_waits", extra={"because": str(error)})
            return False
        self._seat = seat
        self._ownership = self._make_ownership(seat)
        self._joined.set()
        log.info("node_joined", extra={"node": seat.node_id, "epoch": seat.epoch})
        return True

    async def join(self) -> NodeSeat:
        """Try until it works."""
        while not self._joined.is_set() and not await self.try_join():
            await self._clock.sleep(RETRY_S)
        return self._known()[0]

    def not_joined(self) -> str | None:
        """A readiness check."""
        return None if self._joined.is_set() else NOT_JOINED

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

    def _known(self) -> tuple[NodeSeat, Ownership]:
        if self._seat is None or self._ownership is None:
            raise Unavailable(NOT_JOINED)
        return self._seat, self._ownership
