"""Reads what the kernel tells of the host's memory: /proc/meminfo, pressure, KSM."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from qvdnode.memopt.core.meminfo import (
    HostMemory,
    Pressure,
    parse_meminfo,
    parse_pressure,
    parse_stalled_us,
)
from qvdnode.memopt.core.stall_window import Sample, StallWindow
from qvdnode.memopt.own_reclaim import OwnReclaim
from qvdnode.telemetry.metrics import Gauge

PROC: Final = Path("/proc")
KSM: Final = Path("/sys/kernel/mm/ksm")
MIB: Final = 1024 * 1024

TOTAL = Gauge("qvdnode_host_memory_total_bytes", "Memory of the host")
AVAILABLE = Gauge("qvdnode_host_memory_available_bytes", "What the kernel could still give")
SWAP_FREE = Gauge("qvdnode_host_swap_free_bytes", "Swap that is not used")
KSM_PAGES = Gauge("qvdnode_host_ksm_pages_sharing", "Pages that KSM saved; 0 while it is off")


class HostMemoryReader:
    """The host's memory, read anew at each call; the calls take microseconds and do not block."""

    def __init__(
        self,
        proc: Path = PROC,
        ksm: Path = KSM,
        *,
        limit_mib: int = 0,
        own: OwnReclaim | None = None,
    ) -> None:
        """`limit_mib`: of how much of the host's memory this node may tell; 0: of all of it.

        `own`: what the node itself pushes to swap, which does not count as pressure on memory.
        """
        self._own = own
        self._stalls = StallWindow()
        self._proc = proc
        self._ksm = ksm
        self._limit_mib = limit_mib
        self._used_mib: Callable[[], int] = lambda: 0

    def memory(self) -> HostMemory:
        """Total, available and swap, within the node's limit."""
        found = parse_meminfo((self._proc / "meminfo").read_text(encoding="ascii"))
        return found.within(self._limit_mib, self._used_mib()) if self._limit_mib else found

    def count(self, used_mib: Callable[[], int]) -> None:
        """Have what the node's guests use counted against its limit."""
        self._used_mib = used_mib

    def pressure(self, resource: str) -> Pressure:
        """The pressure on `cpu`, `memory` or `io`; none where the kernel does not measure it."""
        with suppress(OSError):
            text = (self._proc / "pressure" / resource).read_text(encoding="ascii")
            return self._of_others(text) if resource == "memory" else parse_pressure(text)
        return Pressure()

    def _of_others(self, text: str) -> Pressure:
        """The pressure on memory without the node's own part, where that is known."""
        totals = parse_stalled_us(text)
        if self._own is None or totals is None:
            return parse_pressure(text)
        now_s, own_s = self._own.read()
        return self._stalls.hear(Sample(now_s, *totals, own_s)) or parse_pressure(text)

    def ksm_pages_sharing(self) -> int:
        """How many pages are saved by sharing equal ones; 0 where there is no KSM."""
        with suppress(OSError, ValueError):
            return int((self._ksm / "pages_sharing").read_text(encoding="ascii"))
        return 0

    def show(self) -> None:
        """Have the metrics read the host at each scrape."""
        TOTAL.set_function(lambda: self.memory().total_mib * MIB)
        AVAILABLE.set_function(lambda: self.memory().available_mib * MIB)
        SWAP_FREE.set_function(lambda: self.memory().swap_free_mib * MIB)
        KSM_PAGES.set_function(self.ksm_pages_sharing)
