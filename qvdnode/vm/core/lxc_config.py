"""A guest's spec as the text of an LXC configuration. Pure, so that every line has a golden test.

Why each part is as it is stands beside it, since this text is the guest's cage.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from qvdnode.model.guest import GuestSpec

CAPABILITIES: Final = (
    # What a distribution's own tools need to make an account, change to it and own files. All are
    # powers over the guest's own user namespace only. sys_admin, net_admin, net_raw, sys_ptrace
    # and the rest are left out although they are namespaced too: most holes in kernels were
    # reached through them, and no desktop needs them. Sandboxes of browsers make a user namespace
    # of their own and have what they need in there.
    "audit_write chown dac_override fowner fsetid kill net_bind_service setfcap setgid setpcap "
    "setuid sys_chroot sys_nice"
)
DEVICES: Final = (
    "c 1:3 rwm",  # null
    "c 1:5 rwm",  # zero
    "c 1:7 rwm",  # full
    "c 1:8 rwm",  # random
    "c 1:9 rwm",  # urandom
    "c 5:0 rwm",  # tty
    "c 5:1 rwm",  # console
    "c 5:2 rwm",  # ptmx
    "c 136:* rwm",  # pseudo-terminals
)
LINK: Final = "eth0"
"""What a guest calls its network link."""
INIT: Final = "/usr/lib/qvd/init"
FILTER_ON_FILTER: Final = "lxc.seccomp.allow_nesting = 1"
"""LXC is under a filter itself (socket_filter.py), and would leave out its own."""
NESTING_SUFFIX: Final = ".nesting"
"""Ends the name of the system call filter for guests with nesting, beside the other."""
NESTING_CALLS: Final = frozenset({"mount", "pivot_root"})
NESTING_APPARMOR: Final = "unconfined"
"""LXC's profiles forbid the mounts that bubblewrap makes."""
CPU_PERIOD_US: Final = 100_000
TERMINALS: Final = 256
MIB: Final = 1024 * 1024
HIDDEN_FILES: Final = ("diskstats", "partitions", "swaps", "mdstat", "cmdline")
HIDDEN_FOLDERS: Final = ("fs", "bus", "scsi", "acpi", "asound", "driver")
"""Of /proc: what names the disks, the hardware or how the host was started. All guests' loop
devices are among the disks, with what each reads and writes."""
SHOWN_OF_SYS: Final = ("devices/system/cpu", "devices/system/node")
"""By which programs count processors. A folder of sysfs that is hidden by itself has other ways in
(/sys/block, /sys/class/block, /sys/dev/block, /sys/devices/...), and hardware brings new ones."""
PLAIN_PATH: Final = re.compile(r"/[A-Za-z0-9_./+@:-]*\Z")
PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")


@dataclass(frozen=True, slots=True)
class LxcHost:
    """What of the host goes into a configuration."""

    group: str
    """The control group below which this instance's guests live."""
    seccomp_profile: str
    apparmor: str | None
    """AppArmor's profile for guests; None where the kernel has no AppArmor."""
    unified: bool
    """Whether the host has cgroup v2 only."""
    limits_swap: bool
    """Whether the host's kernel counts the swap of a group; asked, since some leave it out."""


def guests_group(prefix: str) -> str:
    """The control group below which the guests of the instance with that prefix live."""
    return f"{prefix}guests"


def guest_group(host: LxcHost, name: str) -> str:
    """The control group of a guest's processes."""
    return f"{host.group}/{name}"


def monitor_group(host: LxcHost, name: str) -> str:
    """The control group of the LXC monitor of a guest."""
    return f"{host.group}/monitor-{name}"


def pivot_group(host: LxcHost) -> str:
    """The control group that monitors step into while they remove their own."""
    return f"{host.group}-pivot"


def config_text(spec: GuestSpec, host: LxcHost, user_namespace: str) -> str:
    """The configuration; raises ValueError on a name or path that LXC would read as syntax.

    `user_namespace` is the path of one that has the guest's ids mapped already.
    """
    for name in (spec.name, spec.hostname, spec.account):
        if PLAIN_NAME.match(name) is None:
            raise ValueError(f"{name!r} cannot stand in a container's configuration")
    folders = (spec.root.root, spec.root.home, spec.run_folder)
    for path in (*folders, host.seccomp_profile, user_namespace):
        if PLAIN_PATH.match(str(path)) is None:
            raise ValueError(f"{str(path)!r} cannot stand in a container's configuration")
    parts = (
        _identity(spec, user_namespace),
        _cage(spec, host),
        _network(),
        _mounts(spec),
        _view_of_host(),
        _nesting(spec),
        _limits(spec, host),
    )
    return "\n".join(line for part in parts for line in part) + "\n"


def _identity(spec: GuestSpec, user_namespace: str) -> Iterator[str]:
    yield f"lxc.uts.name = {spec.hostname}"
    yield f"lxc.init.cmd = {INIT}"
    yield f"lxc.rootfs.path = dir:{spec.root.root}"
    yield f"lxc.idmap = u 0 {spec.ids.start} {spec.ids.count}"
    yield f"lxc.idmap = g 0 {spec.ids.start} {spec.ids.count}"
    # LXC would make one that belongs to root, and the kernel would count what all guests use of
    # inotify, queued signals and the like together, against the limits of the host's root.
    yield f"lxc.namespace.share.user = {user_namespace}"
    yield "lxc.tty.max = 0"
    yield f"lxc.pty.max = {TERMINALS}"


def nesting_filter(text: str) -> str:
    """The system call filter for guests with nesting, made of that for all others."""
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if line.split(" ")[0] not in NESTING_CALLS)


def _cage(spec: GuestSpec, host: LxcHost) -> Iterator[str]:
    yield f"lxc.cap.keep = {CAPABILITIES}"
    yield f"lxc.seccomp.profile = {host.seccomp_profile}{NESTING_SUFFIX if spec.nesting else ''}"
    yield FILTER_ON_FILTER
    # Set-user-id programs stay of use (su, a browser's sandbox): they reach the guest's own root
    # at most, which is nobody on the host.
    yield "lxc.no_new_privs = 0"
    if host.apparmor is not None:
        # Never "generated": LXC would compile one for each guest and leave it in the kernel.
        yield f"lxc.apparmor.profile = {NESTING_APPARMOR if spec.nesting else host.apparmor}"
    family = "cgroup2" if host.unified else "cgroup"
    yield f"lxc.{family}.devices.deny = a"
    yield from (f"lxc.{family}.devices.allow = {device}" for device in DEVICES)


def _network() -> Iterator[str]:
    # A loopback. The link is made for the guest afterwards: LXC runs in another network namespace
    # than the bridge, and to move a link from one to another takes the kernel 20 ms.
    yield "lxc.net.0.type = empty"
    yield "lxc.net.0.flags = up"


def _mounts(spec: GuestSpec) -> Iterator[str]:
    scratch = max(16, spec.memory_mib // 2)
    shared = "bind,nosuid,nodev"
    # The writable parts of /proc are the guest's own.
    yield "lxc.mount.auto = proc:mixed"
    yield f"lxc.mount.entry = {spec.run_folder} run/qvd none {shared},noexec,create=dir 0 0"
    yield f"lxc.mount.entry = {spec.root.home} home/{spec.account} none {shared},create=dir 0 0"
    # Memory-backed, charged to the guest, and bounded so that it meets ENOSPC before the limit.
    yield f"lxc.mount.entry = tmpfs tmp tmpfs nosuid,nodev,mode=1777,size={scratch}m 0 0"
    # X programs look for sockets here, and only a folder of root's is trusted by all of them.
    yield (
        "lxc.mount.entry = tmpfs tmp/.X11-unix tmpfs "
        "nosuid,nodev,noexec,mode=1777,size=64k,create=dir 0 0"
    )
    yield (
        "lxc.mount.entry = tmpfs dev/shm tmpfs "
        f"nosuid,nodev,mode=1777,size={scratch}m,create=dir 0 0"
    )


def _view_of_host() -> Iterator[str]:
    none = "nosuid,nodev,noexec"
    for name in HIDDEN_FILES:
        yield f"lxc.mount.entry = /dev/null proc/{name} none bind,optional 0 0"
    for name in HIDDEN_FOLDERS:
        yield f"lxc.mount.entry = tmpfs proc/{name} tmpfs ro,{none},size=4k,optional 0 0"
    # /sys is no sysfs, which would show the host, but what programs cannot do without. Without one
    # in the guest, nobody can mount one in namespaces of their own either.
    yield f"lxc.mount.entry = tmpfs sys tmpfs {none},mode=755,size=16k,nr_inodes=32 0 0"
    for name in SHOWN_OF_SYS:
        shown = f"bind,ro,{none},create=dir,optional"
        yield f"lxc.mount.entry = /sys/{name} sys/{name} none {shown} 0 0"
    yield f"lxc.mount.entry = tmpfs sys/dev/block tmpfs ro,{none},size=4k,create=dir 0 0"


def _nesting(spec: GuestSpec) -> Iterator[str]:
    if spec.nesting:
        # The kernel lets a user mount a /proc only where another is seen whole, and that of the
        # guest has covered parts.
        yield "lxc.mount.entry = proc dev/.lxc/proc proc nosuid,nodev,noexec,create=dir 0 0"


def _limits(spec: GuestSpec, host: LxcHost) -> Iterator[str]:
    yield f"lxc.cgroup.dir.container = {guest_group(host, spec.name)}"
    yield f"lxc.cgroup.dir.monitor = {monitor_group(host, spec.name)}"
    yield f"lxc.cgroup.dir.monitor.pivot = {pivot_group(host)}"
    quota = spec.cpu_pct * CPU_PERIOD_US // 100
    memory = spec.memory_mib * MIB
    # As much swap as memory: a suspended desktop may go there whole, into zram for one, and that is
    # what lets a host hold more of them. Without a limit one guest could fill the host's swap.
    if host.unified:
        yield f"lxc.cgroup2.memory.max = {memory}"
        if host.limits_swap:
            yield f"lxc.cgroup2.memory.swap.max = {memory}"
        yield f"lxc.cgroup2.cpu.max = {quota} {CPU_PERIOD_US}"
        yield f"lxc.cgroup2.pids.max = {spec.pids_max}"
    else:
        yield f"lxc.cgroup.memory.limit_in_bytes = {memory}"
        if host.limits_swap:
            # v1 counts both together, and takes this one only after the other.
            yield f"lxc.cgroup.memory.memsw.limit_in_bytes = {2 * memory}"
        yield f"lxc.cgroup.cpu.cfs_period_us = {CPU_PERIOD_US}"
        yield f"lxc.cgroup.cpu.cfs_quota_us = {quota}"
        yield f"lxc.cgroup.pids.max = {spec.pids_max}"
