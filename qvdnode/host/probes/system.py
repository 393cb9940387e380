"""Reads the kernel's features from /proc and /sys. Blocks briefly."""

import ctypes
import fcntl
import os
import platform
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from qvdnode.host import cgroups
from qvdnode.host.kernel_limits import kernel_limits

PROC: Final = Path("/proc")
SYS: Final = Path("/sys")
KVM: Final = Path("/dev/kvm")
DOCKER_SOCKET: Final = Path("/run/docker.sock")
KVM_GET_API_VERSION: Final = 0xAE00
TIMEX_BYTES: Final = 256
TIMEX_STATUS_WORD: Final = 10
"""Index of `status` among the 32-bit words of struct timex on 64-bit Linux."""
STA_UNSYNC: Final = 0x40


class Kvm(StrEnum):
    """What /dev/kvm says."""

    ABSENT = "absent"
    REFUSED = "refused"
    ANSWERS = "answers"


@dataclass(frozen=True, slots=True)
class SystemFacts:
    """One look at the kernel."""

    release: str
    cgroup_layout: str
    """v2, v1 or none."""
    cgroup_controllers: frozenset[str]
    user_namespaces_max: int
    user_namespaces_nest: bool
    """Whether they can be made without the rights of the host's root, within another one."""
    ksm_running: bool | None
    """None when the kernel has no KSM."""
    swap_mib: int
    zram: bool
    memory_mib: int
    kvm: Kvm
    docker: bool
    clock_synchronised: bool | None
    """None when the kernel does not tell."""
    low_limits: tuple[str, ...] = ()
    """Names of sysctls that a node raises while it runs, and their values now."""
    limits_settable: bool = True


def probe() -> SystemFacts:
    """Read all facts."""
    memory = _meminfo_mib((PROC / "meminfo").read_text(encoding="ascii"))
    found = _cgroups()
    ksm = _text(SYS / "kernel/mm/ksm/run")
    return SystemFacts(
        release=platform.release(),
        cgroup_layout="none" if found is None else str(found.version),
        cgroup_controllers=frozenset() if found is None else controllers(found),
        user_namespaces_max=int(_text(PROC / "sys/user/max_user_namespaces") or "0"),
        user_namespaces_nest=_text(PROC / "sys/kernel/unprivileged_userns_clone") != "0",
        ksm_running=None if ksm is None else ksm == "1",
        swap_mib=memory.get("SwapTotal", 0),
        zram=(SYS / "block/zram0").exists(),
        memory_mib=memory.get("MemTotal", 0),
        kvm=_kvm(),
        docker=DOCKER_SOCKET.exists(),
        clock_synchronised=_synchronised(),
        low_limits=tuple(
            f"{name.replace('/', '.')} = {value}" for name, value in kernel_limits().low().items()
        ),
        limits_settable=kernel_limits().settable(),
    )


def controllers(found: cgroups.Cgroups) -> frozenset[str]:
    """The controllers that are mounted; v1 names folders after one or several of them."""
    if found.version is cgroups.CgroupVersion.V1:
        return frozenset(name for path in found.hierarchies for name in path.name.split(","))
    lists = (_text(path / "cgroup.controllers") or "" for path in found.hierarchies)
    return frozenset(name for text in lists for name in text.split())


def _meminfo_mib(text: str) -> dict[str, int]:
    rows = (line.split() for line in text.splitlines())
    return {row[0].rstrip(":"): int(row[1]) // 1024 for row in rows if len(row) > 1}


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None


def _cgroups() -> cgroups.Cgroups | None:
    try:
        found = cgroups.probe()
    except OSError:
        return None
    return found if found.hierarchies else None


def _kvm() -> Kvm:
    if not KVM.exists():
        return Kvm.ABSENT
    try:
        handle = os.open(KVM, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return Kvm.REFUSED
    try:
        fcntl.ioctl(handle, KVM_GET_API_VERSION)
    except OSError:
        return Kvm.REFUSED
    finally:
        os.close(handle)
    return Kvm.ANSWERS


def _synchronised() -> bool | None:
    words = (ctypes.c_int * (TIMEX_BYTES // 4))()
    libc = ctypes.CDLL(None)
    if libc.adjtimex(ctypes.byref(words)) < 0:
        return None
    return not words[TIMEX_STATUS_WORD] & STA_UNSYNC
