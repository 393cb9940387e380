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
from qvdnode.memopt.core.meminfo import HostMemory
from qvdnode.memopt.host_memory import HostMemoryReader
from qvdnode.memopt.ksm import Ksm
from tests.harness.node import NodeProcess

EVERY_S: Final = 2.0
MIB: Final = 1 << 20
PSS_GUESTS: Final = 10
"""Guests whose processes are added up at the end of a phase; each costs some milliseconds."""
NOT_BUSY: Final = (3, 4)
"""Idle and waiting for a disk, among the columns of /proc/stat."""
COUNTED_ONCE: Final = 8
"""Columns of /proc/stat; those after it are parts of the others."""


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
    zram_mib: int
    """What compressed swap takes of the memory."""
    guests_mib: int
    """Charged to the control group of all guests."""
    guests_swapped_mib: int
    guests_cpu_s: float
    host_cpu_s: float
    """Of all programs and of the kernel, whatever for."""
    ksm_saved_mib: int
    ksmd_cpu_s: float
    node_rss_mib: int
    node_cpu_s: float
    generator_cpu_s: float
    """Of this process, its X servers and proxies."""
    disk_read_mib: int
    disk_written_mib: int
    memory_pressure_pct: float
    """Part of the last ten seconds in which some program waited for memory."""
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
        self._children: dict[int, float] = {}
        """Processor seconds of the load generator's children, those that have ended too."""
        self.phase = "empty"
        self.connected = 0
        self.started: set[str] = set()
        """Who has had a window."""
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
        # One hierarchy has them all: a thousand folders in each of nine would take long.
        for hierarchy in reversed(self._cgroups.hierarchies):
            if (hierarchy / self.group).is_dir():
                names = os.listdir(hierarchy / self.group)  # noqa: PTH208 - no object for each
                mine = f"{self._node.prefix}qvd-"
                return [f"{self.group}/{name}" for name in names if name.startswith(mine)]
        return []

    def is_frozen(self, vm_id: int) -> bool:
        """Whether that desktop is hibernated."""
        return self._cgroups.is_frozen(f"{self.group}/{self._node.prefix}qvd-{vm_id}")

    def frozen(self) -> list[str]:
        """The groups of hibernated desktops."""
        return [group for group in self.guests() if self._cgroups.is_frozen(group)]

    def asleep_mib(self) -> tuple[float, float] | None:
        """Of the average hibernated desktop: in memory, and in swap; None without one."""
        found = [self._cgroups.memory(group) for group in self.frozen()]
        if not found:
            return None
        used = sum(one.used_bytes for one in found) / len(found) / MIB
        swapped = sum(one.swapped_bytes for one in found) / len(found) / MIB
        return round(used, 1), round(swapped, 1)

    def kill_guests(self) -> None:
        """End all processes of all guests at once."""
        for group in self.guests():
            self._cgroups.kill(group)

    def host(self) -> HostMemory:
        """The host's memory now."""
        return self._host.memory()

    def oom_kills(self) -> int:
        """How many processes the kernel has killed for want of memory since the run began."""
        return oom_kills() - self._oom_before

    def busy_cpu_s(self) -> float:
        """Processor seconds of the whole host since its start."""
        text = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0]
        columns = list(map(int, text.split()[1 : 1 + COUNTED_ONCE]))
        return sum(one for at, one in enumerate(columns) if at not in NOT_BUSY) / TICKS_PER_S

    def generator_cpu_s(self) -> float:
        """Processor seconds of this process and of all children that it ever had."""
        own = os.times()
        for pid in with_children(os.getpid()) - {os.getpid(), self._node_pid}:
            self._children[pid] = of_process(pid)[1]
        # What its ended children took is not asked of the kernel, which adds the node's too.
        return round(own.user + own.system + sum(self._children.values()), 2)

    def generator_mib(self) -> float:
        """PSS of this process and its children: X servers and proxies."""
        pids = with_children(os.getpid()) - {self._node_pid}
        return round(sum(map(pss_bytes, pids)) / MIB, 1)

    def sample(self) -> Sample:
        """How it is now."""
        memory, guests = self._host.memory(), self._cgroups.memory(self.group)
        merged, groups = self._ksm.figures(), self.guests()
        node_rss, node_cpu_s = of_process(self._node_pid)
        vmstat = counters()
        taken = Sample(
            at_s=round(time.monotonic() - self._began_s, 2),
            phase=self.phase,
            desktops=len(groups),
            connected=self.connected,
            frozen=sum(map(self._cgroups.is_frozen, groups)),
            available_mib=memory.available_mib,
            swap_used_mib=memory.swap_total_mib - memory.swap_free_mib,
            zram_mib=zram_mib(),
            guests_mib=guests.used_bytes // MIB,
            guests_swapped_mib=guests.swapped_bytes // MIB,
            guests_cpu_s=guests.cpu_us / 1_000_000,
            host_cpu_s=self.busy_cpu_s(),
            ksm_saved_mib=merged.saved_mib,
            ksmd_cpu_s=merged.ksmd_cpu_s,
            node_rss_mib=node_rss // MIB,
            node_cpu_s=node_cpu_s,
            generator_cpu_s=self.generator_cpu_s(),
            disk_read_mib=vmstat["pgpgin"] // 1024,
            disk_written_mib=vmstat["pgpgout"] // 1024,
            memory_pressure_pct=self._host.pressure("memory").some_pct,
            oom_kills=self.oom_kills(),
        )
        self.samples.append(taken)
        return taken

    def mark(self, phase: str, marks: dict[str, Sample]) -> Sample:
        """Note the sample at the end of a phase."""
        marks[phase] = self.sample()
        return marks[phase]

    def pss_mib(self) -> float | None:
        """PSS of a desktop's processes, the mean of some that are awake; None without any."""
        awake = [group for group in sorted(self.guests()) if not self._cgroups.is_frozen(group)]
        groups = awake[:: max(1, len(awake) // PSS_GUESTS)][:PSS_GUESTS]
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

    @property
    def _node_pid(self) -> int:
        return self._node.process.pid if self._node.process else 0


def counters() -> dict[str, int]:
    """/proc/vmstat by name."""
    lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    return {name: int(value) for name, value in map(str.split, lines)}


def oom_kills() -> int:
    """How often the kernel has killed a process for want of memory since the host's start."""
    return counters().get("oom_kill", 0)


def zram_mib() -> int:
    """What all compressed swap devices of the host take of its memory."""
    files = Path("/sys/block").glob("zram*/mm_stat")
    return sum(int(file.read_text(encoding="ascii").split()[2]) for file in files) // MIB


def of_process(pid: int) -> tuple[int, float]:
    """Resident bytes and processor seconds of a process; zeros when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0, 0.0
    page = os.sysconf("SC_PAGE_SIZE")
    return int(stat[21]) * page, (int(stat[11]) + int(stat[12])) / TICKS_PER_S
