"""Makes a control group with limits, for programs that do not make their own.

LXC makes those of its containers itself. Everything is a short write to the kernel's own files.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.host.cgroups import Cgroups, CgroupVersion
from qvdnode.model.errors import HostFailed

PERIOD_US: Final = 100_000
MIB: Final = 1024 * 1024
CONTROLLERS: Final = "+memory +cpu +pids"


@dataclass(frozen=True, slots=True)
class GroupLimits:
    """What the processes of a group may use together."""

    memory_mib: int
    cpu_pct: int
    """100 is one core."""
    pids_max: int


def create(cgroups: Cgroups, group: str, limits: GroupLimits) -> tuple[Path, ...]:
    """Make the group with its limits; the files to which a process of it writes its pid.

    A group that exists gets these limits. Raises HostFailed.
    """
    try:
        if cgroups.version is CgroupVersion.V2:
            return _create_unified(cgroups, cgroups.hierarchies[0], group, limits)
        return _create_divided(cgroups, group, limits)
    except OSError as error:
        raise HostFailed(f"the control group {group} cannot be made: {error}") from error


def _create_unified(
    cgroups: Cgroups, hierarchy: Path, group: str, limits: GroupLimits
) -> tuple[Path, ...]:
    folder = hierarchy
    for part in Path(group).parts:
        _write(folder / "cgroup.subtree_control", CONTROLLERS)
        folder /= part
        folder.mkdir(exist_ok=True)
    _write(folder / "memory.max", limits.memory_mib * MIB)
    if cgroups.limits_swap():
        _write(folder / "memory.swap.max", limits.memory_mib * MIB)
    _write(folder / "cpu.max", f"{limits.cpu_pct * PERIOD_US // 100} {PERIOD_US}")
    _write(folder / "pids.max", limits.pids_max)
    return (folder / "cgroup.procs",)


def _create_divided(cgroups: Cgroups, group: str, limits: GroupLimits) -> tuple[Path, ...]:
    memory = limits.memory_mib * MIB
    wanted = {
        "memory.limit_in_bytes": memory,
        # Both together, and only after the other.
        "memory.memsw.limit_in_bytes": 2 * memory,
        "cpu.cfs_period_us": PERIOD_US,
        "cpu.cfs_quota_us": limits.cpu_pct * PERIOD_US // 100,
        "pids.max": limits.pids_max,
    }
    joined: list[Path] = []
    for hierarchy in cgroups.hierarchies:
        if (hierarchy / "cpuset.cpus").exists():
            continue  # a new group there takes no process before it has been given processors
        folder = hierarchy / group
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in wanted.items():
            if (folder / name).exists():
                _lower_first(folder, name, value)
        joined.append(folder / "cgroup.procs")
    return tuple(joined)


def _lower_first(folder: Path, name: str, value: int) -> None:
    if name == "memory.limit_in_bytes":
        # A limit that is set again must never be above that of memory and swap together.
        with contextlib.suppress(OSError):
            _write(folder / "memory.memsw.limit_in_bytes", -1)
    _write(folder / name, value)


def _write(file: Path, value: int | str) -> None:
    file.write_text(f"{value}\n", encoding="ascii")
