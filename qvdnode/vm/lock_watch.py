"""Ends guests that hold so many locks on files that the host's memory is in danger.

The kernel charges a lock to no control group, and bounds their number by nothing: one user of one
guest took 40 MB a second of the host's memory with them. A desktop holds some hundred.
"""

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Final

from qvdnode.host.cgroups import Cgroups
from qvdnode.host.core import file_locks
from qvdnode.host.core.file_locks import Holder
from qvdnode.model.errors import HostFailed
from qvdnode.runtime.clock import Clock
from qvdnode.telemetry.metrics import Counter

log = logging.getLogger(__name__)

ENDED: Final = Counter(
    "qvdnode_lock_guests_ended", "Guests ended because they held too many locks on files"
)
CHECK_EVERY_S: Final = 2.0
LOCKS_MAX: Final = 20_000
"""Most locks of one guest: they take 4 MB of the host's memory."""
READ_MAX: Final = 4 * 1024 * 1024
"""Bytes of the kernel's list, some 60,000 locks: enough to tell who has too many."""
PROC: Final = Path("/proc")


class LockWatch:
    """The watch over the guests of one instance."""

    def __init__(self, cgroups: Cgroups, group: str, clock: Clock) -> None:
        """`group` is the control group below which the guests live."""
        self._cgroups = cgroups
        self._group = group
        self._clock = clock

    async def run(self) -> None:
        """Check until cancelled; a failed check is logged and repeated."""
        while True:
            try:
                await self.check()
            except HostFailed as error:
                log.warning("locks_not_counted", extra={"because": str(error)})
            await self._clock.sleep(CHECK_EVERY_S)

    async def check(self) -> None:
        """Count, and kill the guests with too many; raises HostFailed."""
        for name, locks in (await asyncio.to_thread(self._greedy)).items():
            log.warning(
                "guest_holds_too_many_locks",
                extra={
                    "guest": name,
                    "locks": locks,
                    "fix": "Ask its user: no desktop needs so many; they cost the host memory.",
                },
            )
            ENDED.inc()
            self._cgroups.kill(f"{self._group}/{name}")

    def _greedy(self) -> dict[str, int]:
        counts = file_locks.counted(_listed())
        if counts.total <= LOCKS_MAX:
            return {}
        names = {name for name in self._cgroups.children(self._group) if not _is_monitor(name)}
        holders = {name: self._holder(name) for name in names}
        live = {int(path.name) for path in PROC.iterdir() if path.name.isdecimal()}
        found = file_locks.by_holder(counts, holders, live)
        return {name: locks for name, locks in found.items() if locks > LOCKS_MAX}

    def _holder(self, name: str) -> Holder:
        pids = self._cgroups.processes(f"{self._group}/{name}")
        devices: set[file_locks.Device] = set()
        for pid in pids:
            # A process may be in a mount namespace of its own.
            with contextlib.suppress(OSError):
                text = (PROC / str(pid) / "mountinfo").read_text(encoding="utf-8", errors="replace")
                devices |= file_locks.mounted_devices(text)
        return Holder(pids, devices)


def _is_monitor(name: str) -> bool:
    return name.startswith("monitor-")


def _listed() -> bytes:
    pieces, length = [], 0
    try:
        with (PROC / "locks").open("rb", buffering=0) as file:
            while length < READ_MAX and (piece := file.read(READ_MAX)):
                pieces.append(piece)
                length += len(piece)
    except OSError as error:
        raise HostFailed(f"/proc/locks cannot be read: {error.strerror}") from error
    return b"".join(pieces)
