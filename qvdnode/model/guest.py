"""One start of one VM in concrete terms: ids, network port, root file system, limits."""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface
from typing import TYPE_CHECKING, Final

from qvdnode.model.ids import Generation, VmId

if TYPE_CHECKING:
    from pathlib import Path

IDS_PER_GUEST: Final = 65_536
DISPLAY_PORT: Final = 4100
"""Where a guest's display listens: 4000 and its display number; images rely on it."""


class HostNeed(StrEnum):
    """How much a host needs memory of its guests back."""

    NONE = "none"
    SHORT = "short"
    SQUEEZED = "squeezed"
    """Whatever is not given is going to be missing at once."""


@dataclass(frozen=True, slots=True)
class IdRange:
    """The host ids that a guest's ids 0..count-1 are mapped to."""

    start: int
    count: int = IDS_PER_GUEST


@dataclass(frozen=True, slots=True)
class GuestPort:
    """How a guest is attached to the network: the addresses that it may use, and no others."""

    link: str
    """Name of the host's end of the guest's network device."""
    mac: str
    address: IPv4Interface
    gateway: IPv4Address
    egress: bool


@dataclass(frozen=True, slots=True)
class GuestRoot:
    """A root file system made for one generation of one VM."""

    root: "Path"
    """The mounted overlay, handed to the driver."""
    home: "Path"
    """The user's home, already mapped to the guest's id range."""


@dataclass(frozen=True, slots=True)
class GuestSpec:
    """One start of one VM, complete: what a driver turns into a guest."""

    vm_id: VmId
    generation: Generation
    name: str
    """Name of the container or machine, unique on the host."""
    hostname: str
    account: str
    """The user's account in the guest, and the name of its folder below /home."""
    ids: IdRange
    port: GuestPort
    root: GuestRoot
    run_folder: "Path"
    """Shared with the guest at /run/qvd; written by the guest, so never trusted."""
    memory_mib: int
    cpu_pct: int
    pids_max: int
    nesting: bool = False
    """Whether programs may mount in namespaces of their own."""
    merges: bool = False
    """Whether the kernel may merge its memory with that of others that allow it."""


@dataclass(frozen=True, slots=True)
class GuestProcess:
    """A launched guest as the host sees it; pid and start time together name it for good."""

    pid: int
    """In the host's numbering: the guest's PID 1, or the hypervisor of a virtual machine."""
    started_ticks: int
    """Field 22 of /proc/PID/stat."""


@dataclass(frozen=True, slots=True)
class LimitEvents:
    """How often a guest met its limits since it started, as the kernel counts it."""

    killed: int
    """Programs killed for want of memory."""
    forks_refused: int
    """Processes and threads that were one too many."""
    hangs: int = 0
    """Times that a guest with a kernel of its own answered nothing for long."""


class GuestFault(StrEnum):
    """What can end a guest that nobody ended."""

    PANIC = "panic"
    """Its own kernel gave up."""
    WATCHDOG = "watchdog"
    """Its own kernel hung, and the watchdog of its machine ended it."""
    HYPERVISOR_MEMORY = "hypervisor_memory"
    """The host killed the program that ran it, for want of memory."""


@dataclass(frozen=True, slots=True)
class EndCause:
    """Why a guest is gone, as far as its driver can tell."""

    fault: GuestFault
    because: str
    """A clause for users and administrators, without a full stop."""


@dataclass(frozen=True, slots=True)
class FreeSpace:
    """What a guest can still write; 0 where no inode is left."""

    root_bytes: int
    home_bytes: int


@dataclass(frozen=True, slots=True)
class DriverCheck:
    """Whether a driver can start guests on a host now."""

    version: str | None = None
    """Of the program that runs its guests, where that is known."""
    problem: str | None = None
    """Why it can start none, as a clause without a full stop; None when it can."""
    fix: str = ""
    """What to do about the problem, or the warning."""
    warning: str = ""
    """What makes its guests worse than they could be here, as a clause; empty when nothing does."""
    installed: bool = True
    """False when nothing of it is on this host, which then is not meant to run such guests."""


@dataclass(frozen=True, slots=True)
class GuestMemory:
    """What the guest's control group is charged with; 0 for what the host does not tell."""

    used_bytes: int
    limit_bytes: int
    anon_bytes: int = 0
    """Memory that only swap can take: of programs, and of tmpfs."""
    cache_bytes: int = 0
    """Files in memory, which can be read again."""
    swapped_bytes: int = 0
    """What is in swap, before compression."""
    cpu_us: int = 0
    """Processor time since the guest's start."""
    refaults: int = 0
    """Pages of programs that were read back from swap since then."""
