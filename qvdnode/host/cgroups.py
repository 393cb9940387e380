"""Control groups of guests, on pure v2 and on hosts with v1 controllers, behind one interface.

Guests live outside the service's own group, so that restarting the service does not end them.
Everything is a short read or write of the kernel's own files.
"""

import contextlib
import errno
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from qvdnode.host import pidfd
from qvdnode.host.core import group_files
from qvdnode.model.errors import HostFailed
from qvdnode.model.guest import GuestMemory
from qvdnode.runtime.scarcity import EXHAUSTED

MOUNTED_AT: Final = Path("/sys/fs/cgroup")
V2_FREEZER: Final = "cgroup.freeze"
V1_FREEZER: Final = "freezer.state"
RECLAIM_ALL: Final = "1T"
"""More than any group has: the kernel pushes what it can, then says that it was not all."""
ANON_FIRST: Final = "200"
"""Swappiness with which the kernel takes memory of programs before files."""
GONE: Final = frozenset({errno.ENOENT, errno.ENODEV})
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

    def freeze(self, group: str) -> None:
        """Keep the group's processes from running, soon; raises HostFailed."""
        self._set_frozen(group, frozen=True)

    def thaw(self, group: str) -> None:
        """Undo `freeze`; a group that is gone is fine. Raises HostFailed."""
        self._set_frozen(group, frozen=False)

    def is_frozen(self, group: str) -> bool:
        """Whether `freeze` was called last."""
        freezer = self._freezer(group)
        if freezer is None:
            return False
        told = freezer.parent / "freezer.self_freezing" if freezer.name == V1_FREEZER else freezer
        return _number(told) == 1

    def has_frozen(self, group: str) -> bool:
        """Whether none of the group's processes runs any more; True for one that is gone."""
        freezer = self._freezer(group)
        if freezer is None:
            return True
        if freezer.name == V1_FREEZER:
            return _text(freezer) in {"FROZEN", ""}
        return "frozen 1" in _text(freezer.parent / "cgroup.events").splitlines()

    def kill(self, group: str) -> int:
        """Send SIGKILL to each process in that group and below; returns their number."""
        pids = self.processes(group)
        with contextlib.suppress(HostFailed):
            self.thaw(group)  # a process that version 1 has frozen dies only then
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

    def memory(self, group: str) -> GuestMemory:
        """What the group uses now and has used of the processor; zeros when it is gone."""
        folders = list(self._folders(group))
        stat, cpu = _found(folders, "memory.stat"), _found(folders, "cpu.stat")
        if self.version is CgroupVersion.V2:
            used, limit, swap = "memory.current", "memory.max", "memory.swap.current"
            numbers = [_number(_found(folders, name)) for name in (used, limit, swap)]
            return group_files.of_version_2(_text(stat), _text(cpu), *numbers)
        names = ("memory.usage_in_bytes", "memory.limit_in_bytes", "cpuacct.usage")
        return group_files.of_version_1(
            _text(stat), *(_number(_found(folders, name)) for name in names)
        )

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

    def reclaim_file(self, group: str) -> tuple[Path, str] | None:
        """The file that pushes a group's memory to swap, and what to write; None without one."""
        folders = list(self._folders(group))
        if (file := _found(folders, "memory.reclaim")) is not None:
            return file, RECLAIM_ALL
        file = _found(folders, "memory.force_empty")
        return None if file is None else (file, "0")

    def push_writes(self, group: str, size_bytes: int) -> list[tuple[Path, str, str]]:
        """What pushes so much of a running group's memory to swap; empty if nothing does.

        Each has a file, what to write, and what to write after that, if anything.
        """
        folders = list(self._folders(group))
        if (file := _found(folders, "memory.reclaim")) is not None:
            return [(file, str(size_bytes), "")]
        limit = _found(folders, "memory.limit_in_bytes")
        if limit is None:
            return []
        # Version 1 reclaims what a new limit leaves out, and takes the limit only then.
        lowered = _number(limit.parent / "memory.usage_in_bytes") - size_bytes
        writes = [(limit, str(lowered), _text(limit))] if lowered > 0 else []
        swappiness = limit.parent / "memory.swappiness"
        # Files are shared with other guests, and cost a disk to read again.
        return [(swappiness, ANON_FIRST, ""), *writes] if swappiness.exists() else writes

    def _set_frozen(self, group: str, *, frozen: bool) -> None:
        freezer = self._freezer(group)
        if freezer is None:
            if frozen:
                raise HostFailed(f"{group} cannot be frozen: the host has no freezer for it")
            return
        words = ("THAWED", "FROZEN") if freezer.name == V1_FREEZER else ("0", "1")
        try:
            freezer.write_text(words[frozen], encoding="ascii")
        except OSError as error:
            if not frozen and error.errno in GONE:
                return
            raise HostFailed(f"cannot write {freezer}: {error.strerror}") from error

    def _freezer(self, group: str) -> Path | None:
        """The file that freezes the group: version 2's where there is one, also beside version 1.

        Version 2 lets a frozen process be killed.
        """
        folders = list(self._folders(group))
        return _found(folders, V2_FREEZER) or _found(folders, V1_FREEZER)

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


def _found(folders: Sequence[Path], name: str) -> Path | None:
    return next((folder / name for folder in folders if (folder / name).exists()), None)


def _text(path: Path | None) -> str:
    """What the file holds; an empty text when there is none, or its group has gone."""
    if path is None:
        return ""
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _number(path: Path | None) -> int:
    text = _text(path)
    return int(text) if text.isdigit() else 0
