"""What the fleet needs of the world. Each Protocol is met in daemon/build.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Protocol

from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import Generation, UserId, VmId
from qvdnode.model.vm_state import VmState


@dataclass(frozen=True, slots=True)
class IdRange:
    """The host ids that a guest's ids 0..count-1 are mapped to."""

    start: int
    count: int = 65_536


@dataclass(frozen=True, slots=True)
class GuestPort:
    """How a guest is attached to the network: what it may claim to be, and nothing else."""

    link: str
    """Name of the host's end of the veth pair."""
    mac: str
    address: IPv4Interface
    gateway: IPv4Address
    egress: bool


@dataclass(frozen=True, slots=True)
class GuestRoot:
    """A root file system made for one generation of one VM."""

    root: Path
    """The mounted overlay, handed to the driver."""
    home: Path
    """The user's home, already mapped to the guest's id range."""


@dataclass(frozen=True, slots=True)
class GuestSpec:
    """One start of one VM, complete: what a driver turns into a guest."""

    vm_id: VmId
    generation: Generation
    name: str
    """Name of the container or machine, unique on the host."""
    hostname: str
    ids: IdRange
    port: GuestPort
    root: GuestRoot
    run_folder: Path
    """Shared with the guest at /run/qvd; written by the guest, so never trusted."""
    memory_mib: int
    cpu_pct: int
    pids_max: int


@dataclass(frozen=True, slots=True)
class GuestProcess:
    """A launched guest as the host sees it; pid and start time together name it for good."""

    pid: int
    """The guest's PID 1, in the host's numbering."""
    started_ticks: int
    """Field 22 of /proc/PID/stat."""


@dataclass(frozen=True, slots=True)
class GuestMemory:
    """What the guest's cgroup is charged with."""

    used_bytes: int
    limit_bytes: int


class GuestDriver(Protocol):
    """One kind of guest. Every method is safe to repeat."""

    async def launch(self, spec: GuestSpec) -> GuestProcess:
        """Start the guest and return once its PID 1 runs; raises GuestFailed, leaving nothing."""
        ...

    async def run_session(self, spec: GuestSpec, verb: str, *, limit_s: float) -> int:
        """Run the session script's verb in the guest and return its exit code."""
        ...

    async def signal_display(self, spec: GuestSpec, pid: int, signal: int) -> bool:
        """Signal a process of the guest by its guest pid; False if it is gone or not its own."""
        ...

    async def wait_exit(self, process: GuestProcess) -> None:
        """Return once the guest's PID 1 is gone; at once if it is gone already."""
        ...

    async def power_off(self, spec: GuestSpec) -> None:
        """Ask the guest to end by itself; returns without waiting."""
        ...

    async def kill(self, spec: GuestSpec) -> None:
        """End every process of the guest and return once none is left."""
        ...

    async def find(self, spec: GuestSpec) -> GuestProcess | None:
        """The running guest of exactly this spec, or None; used to adopt after a restart."""
        ...

    async def memory(self, spec: GuestSpec) -> GuestMemory:
        """What the guest uses now."""
        ...

    async def sweep(self, keep: Sequence[str]) -> Sequence[str]:
        """End and remove guests of this instance whose name is not in `keep`; name them."""
        ...


class RootfsProvider(Protocol):
    """Makes and unmakes root file systems."""

    async def mount(self, order: DesktopOrder, generation: Generation, ids: IdRange) -> GuestRoot:
        """A fresh root and the user's home for this generation; raises HostFailed, BadImage."""
        ...

    async def unmount(self, vm_id: VmId, user_id: UserId, generation: Generation) -> None:
        """Undo `mount`, throw the root away and keep the home; safe to repeat."""
        ...

    async def adopt(self, vm_id: VmId, user_id: UserId, generation: Generation) -> bool:
        """Take over mounts an earlier process made; False if they are not whole."""
        ...

    async def sweep(self, keep: Sequence[tuple[VmId, Generation]]) -> Sequence[str]:
        """Remove mounts and folders of this instance that belong to none of `keep`; name them."""
        ...


class Confinement(Protocol):
    """What a guest may send and who may reach it."""

    async def reserve(self, vm_id: VmId, *, egress: bool) -> GuestPort:
        """An address, MAC and link name for this VM; the same again while it is not released."""
        ...

    async def claim(self, vm_id: VmId, port: GuestPort) -> None:
        """Mark a port as taken that an earlier process reserved."""
        ...

    async def confine(self, port: GuestPort) -> None:
        """Put the rules in place, in one transaction, before the guest runs."""
        ...

    async def release(self, vm_id: VmId, port: GuestPort) -> None:
        """Remove rules and link and free the address; safe to repeat."""
        ...

    async def reconcile(self, ports: Sequence[GuestPort]) -> Sequence[str]:
        """Make rules and links match exactly these ports; names what was removed."""
        ...


class VmStore(Protocol):
    """Ownership and state of VMs in the database; every write carries the generation."""

    async def acquire(self, vm_id: VmId) -> Generation:
        """Claim the VM for this node: one guarded statement; raises Conflict, LeaseLost,
        Unavailable."""
        ...

    async def record(
        self, vm_id: VmId, generation: Generation, state: VmState, *, error: str | None = None
    ) -> None:
        """Write the state; raises LeaseLost when the row has another generation."""
        ...

    async def release(
        self, vm_id: VmId, generation: Generation, state: VmState, *, error: str | None = None
    ) -> None:
        """Give the VM up once its guest is seen gone: no owner, final state."""
        ...

    async def owned(self) -> Sequence[tuple[VmId, Generation, VmState]]:
        """The VMs whose rows say that this node owns them."""
        ...


class Admission(Protocol):
    """Whether one more guest fits on this host."""

    def refuse(self, memory_mib: int, promised_mib: int) -> str | None:
        """Why a guest of that size does not fit, for a person, or None when it does."""
        ...
