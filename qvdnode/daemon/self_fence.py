"""Tells the watchdog until when this node may keep desktops that another node may take over.

That is until the node's lease is over, by its own clock and with a margin, so that they have ended
before another node starts them. While the database is away for all nodes, nobody can take anything
over, and they stay: every node that served says so in its load record. A node that is cut off alone
hears from nobody, or hears that others reach the database, and its time runs out.
"""

import asyncio
import contextlib
import fcntl
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from qvdnode.cluster.core.placement import Load
from qvdnode.cluster.lease_keeper import LeaseKeeper
from qvdnode.daemon import watchdog
from qvdnode.daemon.watchdog import Order
from qvdnode.db.nodes import FENCE_GRACE_S
from qvdnode.host import process
from qvdnode.model.errors import HostFailed
from qvdnode.model.ids import NodeId
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.safe_files import replace_file

if TYPE_CHECKING:
    from qvdnode.host.child import Child

log = logging.getLogger(__name__)

FILE_NAME: Final = "watchdog.json"
WRITE_EVERY_S: Final = 0.5
OUTAGE_S: Final = 5.0
"""How much longer desktops may stay each time that all nodes say that the database is away."""
HEARD_S: Final = 15.0
"""Figures older than this do not tell whether their node reaches the database; a node that is up
repeats its own every 10 s."""
LEAVING_S: Final = FENCE_GRACE_S - 2.0
"""How long desktops stay after the node has stopped in good order: its lease ends at once."""
BEGIN_AGAIN_S: Final = 5.0
NOT_WATCHED: Final = (
    "The watchdog of this node's desktops does not run yet; try again in a few seconds."
)


def all_cut_off(served: Sequence[NodeId], loads: Sequence[Load]) -> bool:
    """Whether every one of these other nodes was heard of just now, and misses the database too."""
    known = {load.node_id: load for load in loads}
    return all(
        node_id in known
        and not known[node_id].suspect
        and known[node_id].age_s < HEARD_S
        and not known[node_id].database
        for node_id in served
    )


@dataclass(frozen=True, slots=True)
class GuardedGuests:
    """The guests of a node."""

    state_dir: Path
    above: str
    """The control group below which their groups are."""
    kept: Callable[[], Sequence[str]]
    """The groups of those that nobody may take over."""
    guarded: bool
    """Whether the node shares its homes: else nobody may take over any of them."""


class SelfFence:
    """Keeps the watchdog's file, and a watchdog while there is something to watch."""

    def __init__(
        self,
        guests: GuardedGuests,
        lease: Callable[[], LeaseKeeper | None],
        outage: Callable[[], bool],
        clock: Clock,
    ) -> None:
        """`outage` tells whether the database is away for every node."""
        self._guests = guests
        self._file = guests.state_dir / FILE_NAME
        self._lease = lease
        self._outage = outage
        self._clock = clock
        self._last = _read(self._file)
        self._left = False
        self._one_at_a_time = Lock()
        """Held by the thread that writes and by the loop's, which leaves."""
        self._begun_s = -BEGIN_AGAIN_S
        self.begun: Child | None = None
        """The watchdog that this process began last."""

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            # In a thread, since a full or broken disk makes a write hang, and the loop must go on.
            if await asyncio.to_thread(self.update):
                await self._begin_watchdog()
            await self._clock.sleep(WRITE_EVERY_S)

    def update(self) -> bool:
        """Write what holds now; returns whether a watchdog must be begun. Blocks, for a write."""
        if not self._guests.guarded:
            return False
        with self._one_at_a_time:
            if self._left:  # what was written last holds, whatever the lease says
                return False
            self._write(Order(self._until_s(), self._guests.above, tuple(self._guests.kept())))
        # A watchdog that was begun takes its lock a little later. Without a pause each write until
        # then would begin another one.
        now_s = self._clock.monotonic_s()
        if now_s - self._begun_s < BEGIN_AGAIN_S or _is_watched(self._file):
            return False
        self._begun_s = now_s
        return True

    def problem(self) -> str | None:
        """Why no desktop may start yet, or None: who would end it, should this node hang?"""
        return NOT_WATCHED if self._guests.guarded and not _is_watched(self._file) else None

    def leave(self, *, guests_stay: bool) -> None:
        """The node stops in good order: what stays must have ended when others may take it."""
        with self._one_at_a_time:
            self._left = True
            if guests_stay and self._last is not None:
                self._write(replace(self._last, until_s=watchdog.boot_s() + LEAVING_S))
            else:
                with contextlib.suppress(OSError):
                    self._file.unlink(missing_ok=True)

    def _until_s(self) -> float:
        # Two clocks: the lease ends on the monotonic one, which stands while the host is suspended.
        # The watchdog reads one that goes on, so that after a suspend the guests are overdue at
        # once.
        boot_s, lease = watchdog.boot_s(), self._lease()
        if lease is not None and lease.deadline_s is not None:
            until_s = boot_s + lease.deadline_s - self._clock.monotonic_s()
        else:  # not joined yet, or fenced: what was said before holds
            until_s = boot_s if self._last is None else self._last.until_s
        return max(until_s, boot_s + OUTAGE_S) if self._outage() else until_s

    def _write(self, order: Order) -> None:
        try:
            replace_file(self._file, watchdog.encode(order))
        except OSError as error:
            log.warning("watchdog_file_not_written", extra={"because": error.strerror})
            return
        self._last = order

    async def _begin_watchdog(self) -> None:
        """Begin one that outlives this process; it ends with its file."""
        words = (sys.executable, "-m", watchdog.__name__, str(self._file))
        try:
            self.begun = await process.launch(words)
        except HostFailed as error:
            log.warning("watchdog_not_begun", extra={"because": str(error)})
        else:
            log.info("watchdog_begun", extra={"pid": self.begun.pid})


def _is_watched(file: Path) -> bool:
    # A watchdog holds this lock for as long as it lives, and the kernel releases it however it
    # dies. A shared lock that is refused therefore means that one runs.
    try:
        with watchdog.lock_file(file).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def _read(file: Path) -> Order | None:
    try:
        return watchdog.decode(file.read_bytes())
    except (OSError, ValueError):
        return None
