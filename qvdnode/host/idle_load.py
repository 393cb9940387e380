"""Measures what idle desktops do: CPU time, context switches and memory of each process.

A waiting process runs when something wakes it, so its voluntary context switches are its wake-ups.
All threads count; processes that end meanwhile do not. Reading blocks.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class Counters:
    """What the kernel has counted of a process since its start, and its memory now."""

    name: str
    cpu_s: float
    switches: int
    """Context switches that it asked for: it waited, and was woken."""
    rss_mib: float
    pss_mib: float


@dataclass(frozen=True, slots=True)
class Load:
    """What one process does while nobody touches the desktop."""

    name: str
    cpu_pct: float
    """Percent of one core."""
    wakeups_per_s: float
    rss_mib: float
    pss_mib: float


def pids_of(vm_folder: Path) -> list[int]:
    """The processes whose root file system is the VM's."""
    wanted = f"{vm_folder.resolve()}/"
    return sorted(
        int(entry.name)
        for entry in PROC.iterdir()
        if entry.name.isdigit() and wanted in _root_mount(entry)
    )


def _root_mount(entry: Path) -> str:
    try:
        lines = (entry / "mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line for line in reversed(lines) if line.split()[4] == "/"), "")


def counters(pids: Iterable[int]) -> dict[int, Counters]:
    """One look at these processes; those that have gone are left out."""
    found = {}
    for pid in pids:
        try:
            found[pid] = _counters(PROC / str(pid))
        except OSError:
            continue
    return found


def _counters(entry: Path) -> Counters:
    head, _, tail = (entry / "stat").read_text(encoding="utf-8").rpartition(")")
    fields = tail.split()
    tasks = [_fields(task / "status") for task in (entry / "task").iterdir()]
    memory = _fields(entry / "smaps_rollup")
    return Counters(
        head.partition("(")[2],
        (int(fields[11]) + int(fields[12])) / TICKS_PER_S,
        sum(int(task["voluntary_ctxt_switches"]) for task in tasks),
        int(memory["Rss"]) / 1024,
        int(memory["Pss"]) / 1024,
    )


def _fields(file: Path) -> dict[str, str]:
    lines = [line.partition(":") for line in file.read_text(encoding="utf-8").splitlines()]
    return {key: value.split()[0] for key, _, value in lines if value.split()}


def loads(
    before: Mapping[int, Counters], after: Mapping[int, Counters], seconds: float
) -> list[Load]:
    """What happened between two looks, the most often woken first."""
    found = [
        Load(
            now.name,
            100 * (now.cpu_s - then.cpu_s) / seconds,
            (now.switches - then.switches) / seconds,
            now.rss_mib,
            now.pss_mib,
        )
        for pid, now in after.items()
        if (then := before.get(pid)) is not None and then.name == now.name
    ]
    return sorted(found, key=lambda load: (load.wakeups_per_s, load.cpu_pct), reverse=True)


def total(found: Sequence[Load]) -> Load:
    """All of a desktop as one; RSS counts shared pages once for each process."""
    return Load(
        "all",
        sum(load.cpu_pct for load in found),
        sum(load.wakeups_per_s for load in found),
        sum(load.rss_mib for load in found),
        sum(load.pss_mib for load in found),
    )


def table(found: Sequence[Load]) -> str:
    """For a person."""
    lines = [f"{'process':<24}{'CPU %':>8}{'wake-ups/s':>12}{'RSS MiB':>9}{'PSS MiB':>9}"]
    lines += [
        f"{load.name:<24}{load.cpu_pct:>8.2f}{load.wakeups_per_s:>12.2f}"
        f"{load.rss_mib:>9.1f}{load.pss_mib:>9.1f}"
        for load in (*found, total(found))
    ]
    return "\n".join(lines)
