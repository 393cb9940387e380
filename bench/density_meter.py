"""Samples of host, node, guests and load generator while a density bench runs."""

import asyncio
import csv
import os
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

from qvdnode.host.cgroups import Cgroups, probe
from qvdnode.host.idle_load import TICKS_PER_S
from qvdnode.host.process_memory import pss_bytes, with_children
from qvdnode.memopt.host_memory import HostMemoryReader
from qvdnode.memopt.ksm import Ksm
from tests.harness.node import NodeProcess

EVERY_S: Final = 2.0
MIB: Final = 1 << 20
PSS_GUESTS: Final = 10
"""Guests whose processes are added up at the end of a phase; each costs some milliseconds."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of the raw data. Processor times count from the start of whatever they belong to."""

    at_s: float
    phase: str
    desktops: int
    connected: int
    frozen: int
    available_mib: int
    swap_used_mib: int
    guests_mib: int
    """Charged to the control group of all guests."""
    guests_swapped_mib: int
    guests_cpu_s: float
    ksm_saved_mib: int
    ksmd_cpu_s: float
    node_rss_mib: int
    node_cpu_s: float
    generator_cpu_s: float
    """Of this process and its children that have ended; X server and proxies: see the summary."""
    oom_kills: int


class Meter:
    """Takes a sample every two seconds while `run` runs."""

    def __init__(self, node: NodeProcess) -> None:
        self._node = node
        self._cgroups: Cgroups = probe()
        self._host = HostMemoryReader()
        self._ksm = Ksm()
        self._began_s = time.monotonic()
        self._oom_before = oom_kills()
        self.phase = "idle"
        self.connected = 0
        self.samples: list[Sample] = []

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            self.sample()
            await asyncio.sleep(EVERY_S)

    @property
    def group(self) -> str:
        """The control group of all guests."""
        return f"{self._node.prefix}qvdguests"

    def guests(self) -> list[str]:
        """The control group of each guest."""
        names = self._cgroups.children(self.group)
        return [f"{self.group}/{name}" for name in names if not name.startswith("monitor-")]

    def sample(self) -> Sample:
        """How it is now."""
        memory, guests = self._host.memory(), self._cgroups.memory(self.group)
        merged, groups = self._ksm.figures(), self.guests()
        node_rss, node_cpu_s = of_process(self._node.process.pid if self._node.process else 0)
        times = os.times()
        taken = Sample(
            at_s=round(time.monotonic() - self._began_s, 2),
            phase=self.phase,
            desktops=len(groups),
            connected=self.connected,
            frozen=sum(map(self._cgroups.is_frozen, groups)),
            available_mib=memory.available_mib,
            swap_used_mib=memory.swap_total_mib - memory.swap_free_mib,
            guests_mib=guests.used_bytes // MIB,
            guests_swapped_mib=guests.swapped_bytes // MIB,
            guests_cpu_s=guests.cpu_us / 1_000_000,
            ksm_saved_mib=merged.saved_mib,
            ksmd_cpu_s=merged.ksmd_cpu_s,
            node_rss_mib=node_rss // MIB,
            node_cpu_s=node_cpu_s,
            generator_cpu_s=round(sum(times[:4]), 2),
            oom_kills=oom_kills() - self._oom_before,
        )
        self.samples.append(taken)
        return taken

    def pss_mib(self) -> float | None:
        """PSS of a guest's processes, the mean of some guests; None without guests."""
        groups = sorted(self.guests())[:PSS_GUESTS]
        if not groups:
            return None
        pids = [pid for group in groups for pid in self._cgroups.processes(group)]
        return round(sum(map(pss_bytes, pids)) / len(groups) / MIB, 1)

    def write(self, path: Path) -> None:
        """All samples as CSV."""
        with path.open("w", encoding="ascii", newline="") as file:
            rows = csv.DictWriter(file, [item.name for item in fields(Sample)])
            rows.writeheader()
            rows.writerows(map(asdict, self.samples))


def generator_mib() -> float:
    """PSS of this process and its children: X server and proxies."""
    return round(sum(map(pss_bytes, with_children(os.getpid()))) / MIB, 1)


def oom_kills() -> int:
    """How often the kernel has killed a process for want of memory since the host's start."""
    lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def of_process(pid: int) -> tuple[int, float]:
    """Resident bytes and processor seconds of a process; zeros when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0, 0.0
    page = os.sysconf("SC_PAGE_SIZE")
    return int(stat[21]) * page, (int(stat[11]) + int(stat[12])) / TICKS_PER_S
