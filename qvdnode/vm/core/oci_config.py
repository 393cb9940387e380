"""A guest's spec as the configuration of an OCI runtime (runc). Pure, so that it has a golden test.

The guest is confined as on LXC (lxc_config.py says why each part is as it is), in the words of
another program: the same ids, rights, system calls, devices, mounts and limits.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from qvdnode.model.guest import GuestSpec
from qvdnode.vm.core.lxc_config import (
    CAPABILITIES,
    CPU_PERIOD_US,
    DEVICES,
    HIDDEN_FILES,
    HIDDEN_FOLDERS,
    INIT,
    MIB,
    PLAIN_NAME,
    SHOWN_OF_SYS,
    TERMINALS,
)

Json = Mapping[str, Any]

VERSION: Final = "1.0.2"
"""Of the runtime specification: nothing here is newer, so every runc of a supported system does."""
SEARCH_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT: Final = (f"PATH={SEARCH_PATH}", "container=oci")
"""Of PID 1; by the second, systemd's tools know that they are in a container."""
READ_ONLY: Final = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq")
COVERED: Final = ("kcore", "keys", "latency_stats", "timer_list", "timer_stats", "sched_debug")
"""What engines hide of /proc, besides what guests on LXC do not see."""
MUXED: Final = "socketcall"
"""The one call of 32-bit programs for all that sockets do. They have no part in this filter (see
`seccomp`), and libseccomp takes a rule for it as a second one for `socket`."""
FILTER_LINE: Final = re.compile(
    r"(?P<call>[a-z0-9_]+) errno (?P<errno>\d+)"
    r"(?: \[(?P<index>\d),(?P<value>\w+),(?P<op>SCMP_CMP_[A-Z_]+)(?:,(?P<mask>\w+))?\])?\Z"
)
MASKED: Final = "SCMP_CMP_MASKED_EQ"
MNT_FORCE: Final = 1
EPERM: Final = 1


@dataclass(frozen=True, slots=True)
class OciHost:
    """What of the host goes into a configuration."""

    group: str
    """The control group below which this instance's guests live."""
    machine: str
    """The processor's kind, as `uname -m` names it."""
    apparmor: str | None
    """AppArmor's profile for guests; None where the kernel has no AppArmor."""
    limits_swap: bool
    """Whether the host's kernel counts the swap of a group."""
    filter_text: str
    """guest.seccomp, without the lines that a guest with nesting must not have."""


def guests_group(prefix: str) -> str:
    """The control group below which the instance's guests on an engine live: not that of LXC's."""
    return f"{prefix}containers"


def guest_group(host: OciHost, name: str) -> str:
    """The control group of a guest's processes."""
    return f"{host.group}/{name}"


def config(spec: GuestSpec, host: OciHost, user_namespace: str) -> Json:
    """The configuration; raises ValueError on a name that could mean something else in a path.

    `user_namespace` is the path of one that has the guest's ids mapped already.
    """
    for name in (spec.name, spec.hostname, spec.account):
        if PLAIN_NAME.match(name) is None:
            raise ValueError(f"{name!r} cannot stand in a container's configuration")
    return {
        "ociVersion": VERSION,
        "process": _process(host, nesting=spec.nesting),
        "root": {"path": str(spec.root.root), "readonly": False},
        "hostname": spec.hostname,
        "mounts": list(_mounts(spec)),
        "linux": _linux(spec, host, user_namespace),
    }


def capabilities() -> list[str]:
    """The rights of the guest's root, within its own user namespace, as runc names them."""
    return [f"CAP_{name.upper()}" for name in CAPABILITIES.split()]


def _process(host: OciHost, *, nesting: bool) -> Json:
    rights = capabilities()
    confined = {} if host.apparmor is None or nesting else {"apparmorProfile": host.apparmor}
    return {
        "terminal": False,
        "user": {"uid": 0, "gid": 0},
        "args": [INIT],
        "env": list(ENVIRONMENT),
        "cwd": "/",
        "capabilities": {"bounding": rights, "effective": rights, "permitted": rights},
        "noNewPrivileges": False,
        # Without this line it would be that of the engine, which the kernel spares.
        "oomScoreAdj": 0,
        **confined,
    }


def _mounts(spec: GuestSpec) -> Iterator[Json]:
    scratch = f"size={max(16, spec.memory_mib // 2)}m"
    none = ("nosuid", "nodev", "noexec")
    yield _mount("/proc", "proc", "proc", none)
    yield _mount("/dev", "tmpfs", "tmpfs", ("nosuid", "noexec", "mode=755", "size=512k"))
    terminals = ("newinstance", "ptmxmode=0666", "mode=0620", "gid=5", f"max={TERMINALS}")
    yield _mount("/dev/pts", "devpts", "devpts", ("nosuid", "noexec", *terminals))
    yield _mount("/dev/shm", "tmpfs", "tmpfs", ("nosuid", "nodev", "mode=1777", scratch))
    yield _mount("/sys", "tmpfs", "tmpfs", (*none, "mode=755", "size=16k", "nr_inodes=32"))
    for name in SHOWN_OF_SYS:
        yield _mount(f"/sys/{name}", "bind", f"/sys/{name}", ("bind", "ro", *none))
    yield _mount("/run/qvd", "bind", str(spec.run_folder), ("bind", "rw", *none))
    home = ("bind", "rw", "nosuid", "nodev")
    yield _mount(f"/home/{spec.account}", "bind", str(spec.root.home), home)
    yield _mount("/tmp", "tmpfs", "tmpfs", ("nosuid", "nodev", "mode=1777", scratch))
    sockets = ("nosuid", "nodev", "noexec", "mode=1777", "size=64k")
    yield _mount("/tmp/.X11-unix", "tmpfs", "tmpfs", sockets)
    if spec.nesting:
        # The kernel lets a user mount a /proc only where another is seen whole.
        yield _mount("/dev/.lxc/proc", "proc", "proc", none)


def _mount(target: str, kind: str, source: str, options: Sequence[str]) -> Json:
    return {"destination": target, "type": kind, "source": source, "options": list(options)}


def _linux(spec: GuestSpec, host: OciHost, user_namespace: str) -> Json:
    ids = [{"containerID": 0, "hostID": spec.ids.start, "size": spec.ids.count}]
    own = [{"type": kind} for kind in ("pid", "mount", "uts", "ipc", "network", "cgroup")]
    hidden = (*HIDDEN_FILES, *HIDDEN_FOLDERS, *COVERED)
    return {
        "namespaces": [*own, {"type": "user", "path": user_namespace}],
        "uidMappings": ids,
        "gidMappings": ids,
        "cgroupsPath": f"/{guest_group(host, spec.name)}",
        "resources": _limits(spec, host),
        "seccomp": seccomp(host.filter_text, host.machine),
        "maskedPaths": [f"/proc/{name}" for name in hidden],
        "readonlyPaths": list(READ_ONLY),
        "rootfsPropagation": "private",
    }


def _limits(spec: GuestSpec, host: OciHost) -> Json:
    memory = spec.memory_mib * MIB
    # Memory and swap together, on either version of control groups; runc takes them apart.
    swap = {"swap": 2 * memory} if host.limits_swap else {}
    return {
        "memory": {"limit": memory, **swap},
        "cpu": {"quota": spec.cpu_pct * CPU_PERIOD_US // 100, "period": CPU_PERIOD_US},
        "pids": {"limit": spec.pids_max},
        "devices": [{"allow": False, "access": "rwm"}, *map(_device, DEVICES)],
    }


def _device(rule: str) -> Json:
    kind, numbers, access = rule.split()
    major, minor = numbers.split(":")
    which = {} if minor == "*" else {"minor": int(minor)}
    return {"allow": True, "type": kind, "major": int(major), **which, "access": access}


def seccomp(text: str, machine: str) -> Json:
    """guest.seccomp in runc's words; raises ValueError on a line that it would have to leave out.

    Only the processor's own system calls are judged, and a call of any other kind ends the program:
    what libseccomp makes of rules for the sockets of 32-bit programs lets some through
    (socket_filter.py), and an engine starts nothing under a filter of ours.
    """
    rules: list[Json] = []
    for line in text.splitlines():
        if not line or line.startswith(("#", "[")) or line in {"2", "denylist"}:
            continue
        if line == "reject_force_umount":
            forced = {"index": 1, "value": MNT_FORCE, "valueTwo": MNT_FORCE, "op": MASKED}
            rules.append(_refusal("umount2", EPERM, [forced]))
            continue
        found = FILTER_LINE.match(line)
        if found is None:
            raise ValueError(f"{line!r} is not a line of a system call filter that is understood")
        if found["call"] == MUXED:
            continue
        rules.append(_refusal(found["call"], int(found["errno"]), _arguments(found)))
    return {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": [f"SCMP_ARCH_{machine.upper()}"],
        "syscalls": rules,
    }


def _arguments(line: re.Match[str]) -> list[Json]:
    if line["index"] is None:
        return []
    value, mask = int(line["value"], 0), line["mask"]
    if (mask is None) != (line["op"] != MASKED):
        raise ValueError(f"{line.group()!r} has no mask, or one too many")
    # With a mask, runc wants that first.
    values = {"value": value} if mask is None else {"value": int(mask, 0), "valueTwo": value}
    return [{"index": int(line["index"]), **values, "op": line["op"]}]


def _refusal(call: str, errno: int, arguments: list[Json]) -> Json:
    return {
        "names": [call],
        "action": "SCMP_ACT_ERRNO",
        "errnoRet": errno,
        **({"args": arguments} if arguments else {}),
    }
