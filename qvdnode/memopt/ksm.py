"""Steers the kernel's search for equal memory. core/ksm_pace.py decides."""

import logging
from pathlib import Path
from typing import Final

from qvdnode.host.shared_sysctls import SharedSysctls
from qvdnode.memopt.core.figures import MIB, MergeFigures
from qvdnode.memopt.core.ksm_pace import MIN_PAGES, SLEEP_MS, Pace, Reading
from qvdnode.model.errors import HostFailed
from qvdnode.telemetry.metrics import Gauge

log = logging.getLogger(__name__)

FOLDER: Final = Path("/sys/kernel/mm/ksm")
RECORDS: Final = Path("/run/qvdnode/ksm")
PAGES, SLEEP = "pages_to_scan", "sleep_millisecs"
TICKS_PER_S: Final = 100
KSMD: Final = "ksmd"

SAVED = Gauge("qvdnode_ksm_saved_mib", "Memory saved by merging, less what its lists take")
CPU = Gauge("qvdnode_ksm_cpu_seconds", "Processor time of the kernel's thread that merges")
PACE = Gauge("qvdnode_ksm_pages_per_second", "How many pages the thread looks at, at most")


class Ksm:
    """Switched on while a node of this host wants it, and put back as it was by the last one."""

    def __init__(
        self, *, folder: Path = FOLDER, records: Path = RECORDS, proc: Path = Path("/proc")
    ) -> None:
        self._folder = folder
        self._proc = proc
        self._shared = SharedSysctls(
            {"run": 1}, records, "KSM cannot be switched on", folder, steered=(PAGES, SLEEP)
        )
        self._thread: Path | None = None
        self._steers = False
        self._pace = Pace()

    @property
    def pace(self) -> Pace:
        """How fast it scans now, and why."""
        return self._pace

    @property
    def pages_per_s(self) -> int:
        """How many pages it looks at in a second, at most; 0 if another program sets its pace."""
        return self._pace.pages * 1000 // SLEEP_MS if self._steers else 0

    def hold(self, prefix: str, bridge: str) -> None:
        """Switch it on; blocks for a moment. Raises HostFailed.

        One that was on already belongs to somebody else, who sets its pace.
        """
        self._shared.hold(prefix, bridge)
        self._steers = self._shared.raised("run")
        log.info("ksm_on", extra={"steered": self._steers})
        if self._steers:
            self._write(SLEEP, SLEEP_MS)
            self._write(PAGES, self._pace.pages)

    def rest(self) -> None:
        """Scan as slowly as it goes: the node's process ends, its guests stay."""
        if self._steers:
            self._write(PAGES, MIN_PAGES)

    def release(self, prefix: str) -> None:
        """This node has no guests any more; blocks for a moment. Raises HostFailed."""
        back = self._shared.release(prefix)
        self._steers = False
        log.info("ksm_restored", extra={"to": back})

    def figures(self) -> MergeFigures:
        """What merging saves and costs by now."""
        return MergeFigures(self._number("general_profit") // MIB, self._cpu_s())

    def steer(self, guests: int, now_s: float, budget_pct: int) -> None:
        """Set the pace by what was gained; `guests` were launched so far."""
        found = self.figures()
        SAVED.set(found.saved_mib)
        CPU.set(found.ksmd_cpu_s)
        was = self._pace
        reading = Reading(found.saved_mib, found.ksmd_cpu_s, now_s, guests)
        self._pace = was.after(reading, budget_pct)
        PACE.set(self.pages_per_s)
        if not self._steers or self._pace.pages == was.pages:
            return
        try:
            self._write(PAGES, self._pace.pages)
        except HostFailed as error:
            log.warning("ksm_not_steered", extra={"because": str(error)})
            return
        facts = {"pages": self._pace.pages, "because": self._pace.why}
        log.debug("ksm_pace", extra=facts)

    def _cpu_s(self) -> float:
        if self._thread is None:
            self._thread = next(
                (stat.parent for stat in self._proc.glob("[0-9]*/comm") if _is_ksmd(stat)), None
            )
        if self._thread is None:
            return 0.0
        try:
            fields = (self._thread / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def _number(self, name: str) -> int:
        try:
            return int((self._folder / name).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 0

    def _write(self, name: str, value: int) -> None:
        try:
            (self._folder / name).write_text(f"{value}\n", encoding="ascii")
        except OSError as error:
            raise HostFailed(f"cannot write {self._folder / name}: {error.strerror}") from error


def _is_ksmd(comm: Path) -> bool:
    try:
        return comm.read_text(encoding="utf-8", errors="replace").strip() == KSMD
    except OSError:
        return False
