"""Keeps new desktops off this node while an administrator empties it, and stops unused ones."""

import logging
from collections.abc import Callable
from typing import Final

from qvdnode.model.errors import FarmError
from qvdnode.model.farm import Drain
from qvdnode.model.ids import NodeId, VmId
from qvdnode.model.vm_state import VmState
from qvdnode.runtime.clock import Clock
from qvdnode.session.ports import DesktopHost
from qvdnode.vm.ports import Admission

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 2.0
UNUSED_S: Final = 60.0
"""Without a client for so long a desktop counts as left: a client that lost its network comes back
sooner."""
REFUSAL: Final = (
    "This node starts no more desktops: an administrator empties it for maintenance."
    " Those that run go on."
)


class Draining:
    """Satisfies vm.ports.Admission: no guest fits on a node that is being emptied."""

    def __init__(
        self,
        drain_of: Callable[[NodeId], Drain],
        here: Callable[[], NodeId | None],
        admission: Admission,
        problem: Callable[[], str | None],
        clock: Clock,
    ) -> None:
        """`drain_of` reads what the row of a node says; `admission` judges by all the rest.

        `problem` tells why nothing may start here now, if that is so.
        """
        self._problem = problem
        self._drain_of = drain_of
        self._here = here
        self._admission = admission
        self._clock = clock
        self._unused: dict[VmId, float] = {}
        """Since when desktops have no client."""

    def wanted(self) -> bool:
        """Whether this node is to be emptied."""
        return self._drain() is not Drain.NO

    def refusal(self, memory_mib: int, promised_mib: int) -> str | None:
        """As vm.ports.Admission."""
        if self.wanted():
            return REFUSAL
        return self._problem() or self._admission.refusal(memory_mib, promised_mib)

    async def run(self, guests: DesktopHost) -> None:
        """Stop desktops that nobody uses while that is wanted, until cancelled."""
        while True:
            if self._drain() is Drain.MOVE:
                await self.stop_unused(guests)
            else:
                self._unused.clear()
            await self._clock.sleep(LOOK_EVERY_S)

    async def stop_unused(self, guests: DesktopHost) -> None:
        """Stop those that have had no client for a while; what failed is tried again later."""
        now_s = self._clock.monotonic_s()
        left = [
            status.order.vm.id
            for status in await guests.statuses()
            if status.state is VmState.RUNNING and not status.viewer
        ]
        self._unused = {vm_id: self._unused.get(vm_id, now_s) for vm_id in left}
        for vm_id in [vm for vm, since_s in self._unused.items() if now_s - since_s >= UNUSED_S]:
            log.info("desktop_stopped_to_empty_the_node", extra={"vm": vm_id})
            try:
                await guests.stop(vm_id)
            except FarmError as error:
                log.warning("desktop_not_stopped", extra={"vm": vm_id, "because": str(error)})

    def _drain(self) -> Drain:
        here = self._here()
        return Drain.NO if here is None else self._drain_of(here)
