"""Where the host's memory went, for administrators."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qvdnode.host.process_memory import pss_bytes, with_children
from qvdnode.memopt.core.credit import Outlook
from qvdnode.memopt.core.figures import MIB, GuestFigures, MergeFigures
from qvdnode.memopt.core.meminfo import HostMemory, Pressure
from qvdnode.memopt.host_memory import HostMemoryReader
from qvdnode.memopt.ksm import Ksm
from qvdnode.memopt.optimiser import Action, MemoryOptimiser
from qvdnode.memopt.zram import Zram, ZramUse


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """Host and node at the time of asking, guests by the last measurement."""

    host: HostMemory
    pressure: Pressure
    """On memory; zeros where the kernel does not measure it."""
    node_mib: int
    database_mib: int
    """Memory of the embedded database; 0 when the database is elsewhere."""
    zram: ZramUse | None
    merged: MergeFigures
    merge_pages_per_s: int
    merge_reason: str
    live_reclaimed_mib: int
    live_reclaim_reason: str
    outlook: Outlook
    obstacle: str | None
    guests: Sequence[GuestFigures]
    actions: Sequence[Action]


class MemoryReporter:
    """Puts reports together; `database_pid` tells the embedded database's first process."""

    def __init__(
        self,
        reader: HostMemoryReader,
        optimiser: MemoryOptimiser,
        ksm: Ksm,
        zram: Zram,
        database_pid: Callable[[], int | None],
    ) -> None:
        self._reader = reader
        self._optimiser = optimiser
        self._ksm = ksm
        self._zram = zram
        self._database_pid = database_pid

    def report(self) -> MemoryReport:
        """How it is now; takes some milliseconds."""
        pid = self._database_pid()
        database = set[int]() if pid is None else with_children(pid)
        return MemoryReport(
            host=self._reader.memory(),
            pressure=self._reader.pressure("memory"),
            node_mib=pss_bytes(os.getpid()) // MIB,
            database_mib=sum(map(pss_bytes, database)) // MIB,
            zram=self._zram.use(),
            merged=self._ksm.figures(),
            merge_pages_per_s=self._ksm.pages_per_s,
            merge_reason=self._ksm.pace.why,
            live_reclaimed_mib=self._optimiser.reclaimed_mib,
            live_reclaim_reason=self._optimiser.reclaim_reason,
            outlook=self._optimiser.outlook(),
            obstacle=self._optimiser.obstacle,
            guests=tuple(self._optimiser.guests),
            actions=tuple(self._optimiser.actions),
        )
