"""Judges what desktops stand on: ids, mounts, disk, programs; pure."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.cli.doctor.finding import Finding, error, ok, warning
from qvdnode.host.apparmor import GUEST_PROFILE, AppArmor
from qvdnode.host.probes.accounts import AccountFacts
from qvdnode.host.probes.mapped_mounts import MountFacts
from qvdnode.image.core.disk_promise import StoreFigures
from qvdnode.model.guest import DriverCheck

PYTHON_MIN: Final = (3, 11)


@dataclass(frozen=True, slots=True)
class Program:
    """A program of the host that is run."""

    version: tuple[str, ...]
    """The command line that says its version."""
    package: str
    """Debian's package of it."""
    purpose: str | None = None
    """What needs it, where a node that serves does not."""

    @property
    def name(self) -> str:
        """What is run."""
        return self.version[0]


PROGRAMS: Final = (
    Program(("mke2fs", "-V"), "e2fsprogs"),
    Program(("nxproxy", "-v"), "nxproxy", "qvd connect and the demo show desktops with it"),
    Program(
        ("bwrap", "--version"), "bubblewrap", "qvd connect and browsers confine nxproxy with it"
    ),
    Program(("Xvnc", "-version"), "tigervnc-standalone-server", "browsers show desktops with it"),
    Program(("mmdebstrap", "--version"), "mmdebstrap", "the demo builds its image with it"),
    Program(("tcc", "-v"), "tcc", "it makes a part of that image, too"),
    Program(("nft", "--version"), "nftables", "nft list ruleset shows the rules of the node"),
)


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """The file system of the state folder."""

    state_dir: Path
    """Or the folder nearest above it that exists."""
    free_mib: int
    floor_mib: int
    project_quota: bool
    closed_folder: Path | None
    mounts: MountFacts
    stores: Sequence[StoreFigures] = ()
    """What is promised of the file systems of roots and homes."""
    folder_problem: str | None = None
    """How another user of the host controls the folder; None when nobody does."""


@dataclass(frozen=True, slots=True)
class ProgramFacts:
    """What is installed."""

    versions: Mapping[str, str | None]
    """By program; None is not installed."""
    missing_packages: tuple[str, ...] | None
    own_environment: bool
    """Whether this Python is of a virtual environment."""


def ids(facts: AccountFacts, start: int, count: int, instance: str | None = None) -> Finding:
    """Whether the ids of guests are free; root's own lines may name them, nobody else's.

    `instance` is the state folder of another node of this host that has some of them.
    """
    owners = (*facts.accounts, *facts.subuid, *facts.subgid)
    taken = {
        owned.owner
        for owned in owners
        if owned.owner not in {"root", "0"} and owned.meets(start, count)
    }
    if taken:
        names = ", ".join(sorted(taken))
        return error("id ranges", f"Ids of guests belong to {names}", "Set another vm.id_base.")
    if instance is not None:
        return error(
            "id ranges",
            f"The node that serves from {instance} has some of {start} to {start + count - 1}",
            "Give one of the two another vm.id_base.",
        )
    return ok("id ranges", f"{start} to {start + count - 1} belong to nobody else")


def disk(facts: DiskFacts) -> list[Finding]:
    """Room, limits and reach of the state folder."""
    where = f"in {facts.state_dir}"
    return [
        ok("disk", f"{facts.free_mib} MiB free {where}")
        if facts.free_mib >= facts.floor_mib
        else error(
            "disk",
            f"{facts.free_mib} MiB free {where}, and {facts.floor_mib} MiB are kept free",
            "Free space, or set image.free_floor_mib lower.",
        ),
        *(disk_promise(store) for store in facts.stores),
        ok("disk limits", "Project quota of the file system")
        if facts.project_quota
        else ok("disk limits", "Files of a limited size (the file system has no project quota)"),
        ok("state folder", "Guests can pass the folders above it")
        if facts.closed_folder is None
        else error(
            "state folder",
            f"Guests cannot pass {facts.closed_folder}",
            f"Run chmod o+x {facts.closed_folder}, or choose another node.state_dir.",
        ),
        ok("folder owner", "Nobody but root controls it")
        if facts.folder_problem is None
        else error(
            "folder owner", f"Not safe: {facts.folder_problem}", "Or set another node.state_dir."
        ),
        ok("overlay", "An overlay was mounted and removed")
        if facts.mounts.overlay is None
        else error(
            "overlay",
            facts.mounts.overlay,
            "Run as root, on a kernel with overlayfs and a file system such as ext4 or xfs.",
        ),
        ok("shifted mounts", "An overlay with shifted owners was mounted and removed")
        if facts.mounts.shifted is None
        else error(
            "shifted mounts",
            facts.mounts.shifted,
            "Run as root, on a kernel of 5.19 or newer and a file system such as ext4 or xfs.",
        ),
    ]


def disk_promise(store: StoreFigures) -> Finding:
    """Whether what desktops were promised of a file system is there."""
    told = (
        f"{store.promised_mib} MiB of {store.capacity_mib} MiB are promised to roots and homes"
        f" in {store.folder}"
    )
    if store.promised_mib <= store.capacity_mib:
        return ok("disk promises", told)
    return warning(
        "disk promises",
        f"{told}: no desktop starts that needs more",
        "Make room there, remove homes that nobody needs, or raise image.disk_overcommit.",
    )


def drivers(checks: Mapping[str, DriverCheck]) -> list[Finding]:
    """Which drivers can start guests here; at least one must."""
    works = any(found.problem is None for found in checks.values())
    return [driver(name, found, needed=not works) for name, found in sorted(checks.items())]


def driver(name: str, found: DriverCheck, *, needed: bool) -> Finding:
    """Whether desktops of flavours with this driver can start."""
    subject = f"driver {name}"
    if found.problem is None:
        works = f"Runs desktops ({found.version or 'version unknown'})"
        if found.warning:
            return warning(subject, f"{works}, but {found.warning}", found.fix)
        return ok(subject, works)
    if not (found.installed or needed):
        return ok(subject, f"Not set up on this host, which runs no such desktops: {found.problem}")
    text = f"Runs no desktops: {found.problem}"
    return error(subject, text, found.fix) if needed else warning(subject, text, found.fix)


def apparmor(found: AppArmor) -> Finding:
    """Whether AppArmor confines guests, besides all else that does."""
    match found:
        case AppArmor.READY:
            return ok("AppArmor", f"Guests get the profile {GUEST_PROFILE}")
        case AppArmor.ABSENT:
            return ok("AppArmor", "Not in this kernel; guests are confined without it")
        case AppArmor.UNKNOWN:
            return ok("AppArmor", "In this kernel; only root sees if the guests' profile is loaded")
        case AppArmor.WITHOUT_PROFILE:
            return warning(
                "AppArmor",
                f"The profile {GUEST_PROFILE} is not loaded: guests are confined without it",
                "Run: apt-get install apparmor, then systemctl restart apparmor.",
            )


def programs(facts: ProgramFacts) -> list[Finding]:
    """What is installed."""
    found = [program(item, facts.versions[item.name]) for item in PROGRAMS]
    missing = facts.missing_packages
    if missing is None:
        found.append(
            warning("packages", "This is not Debian: packages unknown", "See the programs above.")
        )
    elif missing:
        names = " ".join(missing)
        found.append(warning("packages", f"Not installed: {names}", "Run: make setup (as root)"))
    else:
        found.append(ok("packages", "All Debian packages are installed"))
    return [*found, python(sys.version_info[:2], own_environment=facts.own_environment)]


def python(version: tuple[int, int], *, own_environment: bool) -> Finding:
    """The interpreter that runs this."""
    text = f"{version[0]}.{version[1]}"
    if version < PYTHON_MIN:
        return error("Python", f"{text} is too old", "Use Python 3.11 or newer.")
    if not own_environment:
        return warning("Python", f"{text}, not in an environment of its own", "Run: make setup")
    return ok("Python", f"{text} in an environment of its own")


def program(item: Program, version: str | None) -> Finding:
    """Whether it is installed."""
    if version is not None:
        return ok(item.name, f"Version {version}")
    fix = f"Run: apt-get install {item.package}"
    if item.purpose is None:
        return error(item.name, "It is not installed", fix)
    return warning(item.name, f"It is not installed; a node does without, but {item.purpose}", fix)
