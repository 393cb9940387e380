"""Reads and writes files in the home of a guest that runs, in threads of their own."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final, TypeVar

from qvdnode.host.guest_home import GuestHome
from qvdnode.host.own_thread import in_own_thread
from qvdnode.model.errors import NotFound, Throttled, TimedOut
from qvdnode.model.ids import VmId
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.vm.core.session_facts import GUEST_UID
from qvdnode.vm.dependencies import FleetDependencies
from qvdnode.vm.resources import GuestResources

T = TypeVar("T")

LIMIT_S: Final = 20.0
"""A file server that is away holds a thread for longer, but not the request."""
AT_ONCE_MAX: Final = 4
"""Most operations at once in one desktop's home: one that hangs takes no more threads."""


class HomeAccess:
    """The way to the homes of a fleet's guests."""

    def __init__(self) -> None:
        self._running: Counter[VmId] = Counter()

    async def run(
        self,
        dependencies: FleetDependencies,
        guest: GuestResources | None,
        work: Callable[[GuestHome], T],
    ) -> T:
        """What the work returns; raises as GuestHome, and NotFound, Throttled, TimedOut."""
        spec = None if guest is None or guest.process is None else dependencies.spec(guest)
        if spec is None:
            raise NotFound("This desktop does not run, so its files cannot be reached. Start it.")
        if self._running[spec.vm_id] >= AT_ONCE_MAX:
            raise Throttled("Too many files at once; wait for the others.", retry_after_s=1.0)
        uid, now_s = spec.ids.start + GUEST_UID, dependencies.clock.now().timestamp()
        home = GuestHome(spec.root.home, uid, now_s)
        self._running[spec.vm_id] += 1
        done = in_own_thread(lambda: work(home), name="home-files")
        done.add_done_callback(lambda _done: self._ended(spec.vm_id))
        try:
            async with TimeLimit(LIMIT_S):
                # Shielded: a thread that hangs is counted until it ends.
                return await asyncio.shield(done)
        except TimeoutError as error:
            raise TimedOut("The disk with your home does not answer; try again later.") from error

    def _ended(self, vm_id: VmId) -> None:
        self._running[vm_id] -= 1
        self._running += Counter()  # drops what is at zero
