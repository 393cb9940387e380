"""Checks the host itself: kernel, cgroups, memory, clock, devices; pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from qvdnode.cli.doctor.finding import Finding, error, ok, warning
from qvdnode.host.probes.system import Kvm, SystemFacts

KERNEL_MIN: Final = (5, 19)
"""The first Linux with idmapped lower layers of overlayfs."""
CONTROLLERS: Final = frozenset({"cpu", "memory", "pids"})
"""The controllers that set a flavour's limits."""
MEMORY_MIN_MIB: Final = 2_048
PLAUSIBLE_YEARS: Final = range(2024, 2100)


def judge(facts: SystemFacts, now: datetime) -> list[Finding]:
    """Return all findings about the host itself."""
    return [
        kernel(facts.release),
        control_groups(facts.cgroup_layout, facts.cgroup_controllers),
        user_namespaces(facts.user_namespaces_max, nest=facts.user_namespaces_nest),
        kernel_limits(facts.low_limits, settable=facts.limits_settable),
        memory(facts.memory_mib),
        swap(facts.swap_mib, zram=facts.zram),
        same_page_merging(running=facts.ksm_running),
        kvm(facts.kvm),
        docker(running=facts.docker),
        clock(now, synchronised=facts.clock_synchronised),
    ]


def kernel(release: str) -> Finding:
    """The kernel's version."""
    major, _, rest = release.partition(".")
    minor = rest.partition(".")[0]
    if not (major.isdigit() and minor.isdigit()):
        return warning("kernel", f"Linux {release} has an unknown version", "Check it by hand.")
    if (int(major), int(minor)) < KERNEL_MIN:
        return error("kernel", f"Linux {release} is too old", "Install Linux 5.19 or newer.")
    return ok("kernel", f"Linux {release}")


def control_groups(layout: str, controllers: frozenset[str]) -> Finding:
    """How controllers are mounted, and whether those for a desktop's limits are present."""
    if layout == "none":
        return error("cgroups", "No controllers are mounted", "Mount cgroup2 at /sys/fs/cgroup.")
    if missing := CONTROLLERS - controllers:
        return error(
            "cgroups",
            f"Desktops cannot be limited without: {', '.join(sorted(missing))}",
            "Boot without cgroup_disable=; some boards want cgroup_enable=memory.",
        )
    if layout == "v2":
        return ok("cgroups", "Version 2")
    return warning(
        "cgroups",
        "Version 1 controllers are mounted; that works, with weaker memory limits",
        "Boot with systemd.unified_cgroup_hierarchy=1.",
    )


def open_files(limit: int, needed: int, least: int) -> Finding:
    """Whether a node that is started here can open enough file descriptors."""
    fix = f"Set LimitNOFILE={needed} in the unit, or run: ulimit -n {needed}"
    if limit < least:
        return error("open files", f"{limit} at most, and a node needs {least}", fix)
    if limit < needed:
        text = (
            f"{limit} at most; this configuration needs {needed}, so ports take fewer connections"
        )
        return warning("open files", text, fix)
    return ok("open files", f"{limit} at most; {needed} are needed")


def user_namespaces(allowed: int, *, nest: bool) -> Finding:
    """Whether nested user namespaces work, which guests need."""
    if not nest:
        return error(
            "user namespaces",
            "On this host only root can create them, and each guest needs a nested one",
            "Run: sysctl -w kernel.unprivileged_userns_clone=1",
        )
    if allowed > 0:
        return ok("user namespaces", f"Up to {allowed}")
    return error(
        "user namespaces",
        "The host's limit is 0",
        "Run: sysctl -w user.max_user_namespaces=10000",
    )


def kernel_limits(low: Sequence[str], *, settable: bool) -> Finding:
    """Whether the kernel limits that all desktops share are high enough."""
    if not low:
        return ok("kernel limits", "The limits that all desktops share are high enough")
    names = ", ".join(low)
    if settable:
        return ok(
            "kernel limits",
            f"{names}; a node raises them while it runs and restores them at its end",
        )
    return warning(
        "kernel limits",
        f"{names}: one desktop could take what others need, and the node cannot raise them",
        "Raise them with sysctl on the host, outside the container.",
    )


def memory(mib: int) -> Finding:
    """Whether there is enough memory for desktops."""
    if mib >= MEMORY_MIN_MIB:
        return ok("memory", f"{mib} MiB")
    return warning("memory", f"{mib} MiB is enough for one or two desktops", "Add memory.")


def swap(mib: int, *, zram: bool) -> Finding:
    """Whether there is swap for the memory of idle desktops."""
    if mib > 0:
        return ok("swap", f"{mib} MiB")
    fix = "Add a swap file, or let the node make compressed swap in memory: memory.zram_pct = 100."
    return warning(
        "swap",
        "There is none: desktops that nobody uses cannot hibernate and keep all their memory",
        fix if zram else "Add a swap file.",
    )


def same_page_merging(*, running: bool | None) -> Finding:
    """Whether KSM merges equal memory pages of desktops."""
    if running is None:
        return warning("KSM", "This kernel cannot merge equal pages", "Use a kernel with KSM.")
    if running:
        return ok("KSM", "Equal pages are merged")
    return ok("KSM", "Available, switched off")


def kvm(found: Kvm) -> Finding:
    """Whether virtual machines would be fast; containers do not need it."""
    match found:
        case Kvm.ANSWERS:
            return ok("KVM", "/dev/kvm answers")
        case Kvm.REFUSED:
            return warning("KVM", "/dev/kvm exists but does not work", "Containers do not need it.")
        case Kvm.ABSENT:
            return ok("KVM", "Not there; containers do not need it")


def docker(*, running: bool) -> Finding:
    """Whether Docker runs on the host; its firewall rules can block guests."""
    if running:
        return ok("Docker", "Runs on this host; see foreign firewalls")
    return ok("Docker", "Does not run")


def clock(now: datetime, *, synchronised: bool | None) -> Finding:
    """Whether the clock is right, which certificates and records need."""
    if now.year not in PLAUSIBLE_YEARS:
        return error("clock", f"Shows {now:%Y-%m-%d}", "Set the clock: timedatectl set-ntp true")
    if not synchronised:
        return warning(
            "clock",
            f"{now:%Y-%m-%d %H:%M} UTC, not known to be synchronised",
            "Install chrony or systemd-timesyncd.",
        )
    return ok("clock", f"{now:%Y-%m-%d %H:%M} UTC, synchronised")
