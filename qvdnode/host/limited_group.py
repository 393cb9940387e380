"""Control groups with a limit of memory and of processes, for programs of the node's own."""

import contextlib
from pathlib import Path

from qvdnode.host.cgroups import Cgroups, CgroupVersion
from qvdnode.model.errors import HostFailed

V1_MEMORY = "memory.limit_in_bytes"
V1_SWAP = "memory.memsw.limit_in_bytes"


class LimitedGroup:
    """One group in each hierarchy that has a limit to set."""

    def __init__(self, cgroups: Cgroups, name: str) -> None:
        """`name` is relative to the hierarchies, and its folder above is made if need be."""
        self.name = name
        self._cgroups = cgroups

    def make(self, *, memory_bytes: int, processes: int) -> None:
        """Make the group and set its limits; raises HostFailed. Blocks briefly."""
        if not self._cgroups.hierarchies:
            raise HostFailed("no control groups are mounted at /sys/fs/cgroup")
        try:
            for hierarchy in self._cgroups.hierarchies:
                self._make_in(hierarchy, memory_bytes, processes)
        except OSError as error:
            self.remove()
            raise HostFailed(f"the control group {self.name} cannot be made: {error}") from error

    def enter(self, pid: int) -> None:
        """Put a process into the group; what it starts later is in it, too. Raises HostFailed."""
        try:
            for hierarchy in self._cgroups.hierarchies:
                group = hierarchy / self.name
                if group.is_dir():
                    (group / "cgroup.procs").write_text(str(pid), encoding="ascii")
        except OSError as error:
            raise HostFailed(f"process {pid} cannot enter {self.name}: {error}") from error

    def remove(self) -> bool:
        """Kill what is left in the group and remove it, with those below; whether it is gone.

        Safe to repeat: what was killed may take a moment to die.
        """
        with contextlib.suppress(HostFailed):
            self._cgroups.kill(self.name)
        self._cgroups.remove(self.name)
        return not self._cgroups.exists(self.name)

    def _make_in(self, hierarchy: Path, memory_bytes: int, processes: int) -> None:
        group = hierarchy / self.name
        if self._cgroups.version is CgroupVersion.V2:
            _hand_down(hierarchy)
            group.parent.mkdir(exist_ok=True)
            _hand_down(group.parent)
            group.mkdir(exist_ok=True)
            _write(group / "memory.max", memory_bytes)
            _write(group / "pids.max", processes)
            return
        if (hierarchy / V1_MEMORY).exists():
            group.mkdir(parents=True, exist_ok=True)
            _write(group / V1_MEMORY, memory_bytes)
            if (group / V1_SWAP).exists():
                _write(group / V1_SWAP, memory_bytes)
        elif hierarchy.name == "pids":
            group.mkdir(parents=True, exist_ok=True)
            _write(group / "pids.max", processes)


def _hand_down(group: Path) -> None:
    """Let groups below that one have limits; one that cannot has them already, or never will."""
    with contextlib.suppress(OSError):
        (group / "cgroup.subtree_control").write_text("+memory +pids", encoding="ascii")


def _write(file: Path, number: int) -> None:
    file.write_text(str(number), encoding="ascii")
