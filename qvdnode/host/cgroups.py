"""Control groups of guests, on pure v2 and on hosts with v1 controllers, behind one interface.

Guests live outside the service's own group, so that restarting the service does not end them.
Everything is a short read or write of the kernel's own files.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from qvdnode.host import pidfd
from qvdnode.model.errors import HostFailed
from qvdnode.runtime.scarcity import EXHAUSTED

MOUNTED_AT: Final = Path("/sys/fs/cgroup")
DEPTH_MAX: Final = 8
"""Guests create groups below their own; groups deeper than this are not read."""


class CgroupVersion(StrEnum):
    """Which version of cgroups has the controllers."""

    V2 = "v2"
    V1 = "v1"


@dataclass(frozen=True, slots=True)
class Cgroups:
    """The host's hierarchies, found once."""

    version: CgroupVersion
    hierarchies: tuple[Path, ...]
    """Mount points of the hierarchies; one for v2."""

    def processes(self, group: str) -> set[int]:
        """Return the pids in that group and below; raises HostFailed when it cannot be read."""
        pids: set[int] = set()
        # On v1 a process is in one group of each hierarchy with the same pids, so read the first
        # hierarchy that has the group.
        for folder in self._folders(group):
            for below in _walk(folder):
                pids |= _pids(below)
            if pids:
                break
        return pids

    def exists(self, group: str) -> bool:
        """Whether any hierarchy has that group."""
        return any(True for _ in self._folders(group))

    def kill(self, group: str) -> int:
        """Send SIGKILL to each process in that group and below; returns their number."""
        pids = self.processes(group)
        for folder in self._folders(group):
            with contextlib.suppress(OSError):
                (folder / "cgroup.kill").write_text("1", encoding="ascii")
        # Without cgroup.kill, kill by pid; a listed pid may belong to another process by now.
        held = {pid: descriptor for pid in pids if (descriptor := pidfd.open_process(pid))}
        try:
            for pid in self.processes(group) & held.keys():
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(held[pid], signal.SIGKILL)
        finally:
            for descriptor in held.values():
                os.close(descriptor)
        return len(pids)

    def remove(self, group: str) -> None:
        """Remove that group and those below it; one that still has processes stays."""
        for folder in list(self._folders(group)):
            for below in reversed(list(_walk(folder))):
                with contextlib.suppress(OSError):
                    below.rmdir()

    def children(self, group: str) -> set[str]:
        """Names of the groups right below."""
        names: set[str] = set()
        for folder in self._folders(group):
            names |= {entry.name for entry in folder.iterdir() if entry.is_dir()}
        return names

    def memory(self, group: str) -> tuple[int, int]:
        """Bytes charged to that group and its limit; zeros when it is gone."""
        for folder in self._folders(group):
            for used, limit in (
                ("memory.current", "memory.max"),
                ("memory.usage_in_bytes", "memory.limit_in_bytes"),
            ):
                if (folder / used).exists():
                    return _number(folder / used), _number(folder / limit)
        return 0, 0

    def killed(self, group: str) -> int:
        """How many programs of that group the kernel has killed for want of memory."""
        return self._counter(group, ("memory.events", "memory.oom_control"), "oom_kill")

    def forks_refused(self, group: str) -> int:
        """How many processes or threads of that group were not made, being one too many."""
        return self._counter(group, ("pids.events",), "max")

    def limits_swap(self) -> bool:
        """Whether the swap of a group can be limited; v2 says so in groups below the first."""
        return any(
            (hierarchy / "memory.memsw.limit_in_bytes").exists()
            or any(hierarchy.glob("*/memory.swap.max"))
            for hierarchy in self.hierarchies
        )

    def _counter(self, group: str, files: tuple[str, ...], key: str) -> int:
        for folder in self._folders(group):
            for name in files:
                found = _keyed(folder / name, key)
                if found is not None:
                    return found
        return 0

    def _folders(self, group: str) -> Iterator[Path]:
        return (hierarchy / group for hierarchy in self.hierarchies if (hierarchy / group).is_dir())


def probe(mounted_at: Path = MOUNTED_AT) -> Cgroups:
    """What this host has."""
    if (mounted_at / "cgroup.controllers").exists():
        return Cgroups(CgroupVersion.V2, (mounted_at,))
    found = sorted(
        entry
        for entry in mounted_at.iterdir()
        if not entry.is_symlink() and (entry / "cgroup.procs").exists()
    )
    # v2 beside v1 has no controllers but can kill; the memory hierarchy tells most.
    return Cgroups(CgroupVersion.V1, tuple(found))


def _walk(folder: Path, depth: int = 0) -> Iterator[Path]:
    yield folder
    if depth < DEPTH_MAX:
        with _gone_is_empty(folder):
            for entry in os.scandir(folder):
                if entry.is_dir(follow_symlinks=False):
                    yield from _walk(Path(entry.path), depth + 1)


def _pids(folder: Path) -> set[int]:
    text = ""
    with _gone_is_empty(folder):
        text = (folder / "cgroup.procs").read_text(encoding="ascii")
    return {int(line) for line in text.split() if line != "0"}


@contextlib.contextmanager
def _gone_is_empty(folder: Path) -> Iterator[None]:
    """Ignore that a group is gone; raises HostFailed for one that cannot be read."""
    try:
        yield
    except OSError as error:
        if error.errno in EXHAUSTED:
            raise HostFailed(f"cannot read {folder}: {error.strerror}") from error


def _keyed(path: Path, key: str) -> int | None:
    """The number that follows a word at the start of a line; None where there is none."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [line.removeprefix(f"{key} ") for line in lines if line.startswith(f"{key} ")]
    return int(found[0]) if found and found[0].isdigit() else None


def _number(path: Path) -> int:
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return 0
    return int(text) if text.isdigit() else 0
