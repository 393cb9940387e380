"""What the fleet needs from other packages, as Protocols; daemon/build.py supplies them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from qvdnode.model.farm import DesktopOrder
from qvdnode.model.guest import (
    GuestMemory,
    GuestPort,
    GuestProcess,
    GuestRoot,
    GuestSpec,
    IdRange,
)
from qvdnode.model.ids import Generation, UserId, VmId
from qvdnode.model.vm_state import VmState
from qvdnode.vm.core.display import DisplayEvent
from qvdnode.vm.core.start_record import StartRecord


class GuestDriver(Protocol):
    """One kind of guest. Every method is safe to repeat.

    What a driver gets in a GuestSpec, whether its guests share the host's kernel or have their own:

    root: `spec.root.root` is a directory tree on the host, mounted and complete, whose files belong
        to the host ids of `spec.ids`; `spec.root.home` is the user's home, another such tree. The
        guest must see them as its `/` and as its home, with ids counted from 0. A container mounts
        them; a virtual machine shares them (virtiofs).
    network: `spec.port` names the host's end of the guest's only network device, its MAC and its
        address. The driver makes that device under exactly the name `spec.port.link` (a veth pair
        or a tap) and joins it to the bridge, so that the rules which are in place already apply.
        Nothing in the guest may be believed about its address.
    run folder: `spec.run_folder` must appear as /run/qvd, and what the guest writes there must be
        seen by inotify on the host.

    How processes are named:

    A GuestProcess is the one process of the host that lives as long as the guest: PID 1 of a
        container, or the hypervisor's process of a virtual machine. Start ticks go with the pid.
    A *guest pid* is a number of the guest's own: of its pid namespace or of its own kernel. The
        session script writes the display's into the run folder. Only the driver can find the
        process that it means, and must look among this guest's processes alone.
    """

    async def launch(self, spec: GuestSpec) -> GuestProcess:
        """Start the guest and return once its PID 1 runs; raises GuestFailed and leaves nothing."""
        ...

    async def run_session(self, spec: GuestSpec, verb: str, *, limit_s: float) -> int:
        """Run the session script's verb in the guest and return its exit code.

        Raises TimedOut after `limit_s`, HostFailed or GuestFailed when it could not be run.
        """
        ...

    async def signal_display(self, spec: GuestSpec, pid: int, signal: int) -> bool:
        """Send a signal to the process with that guest pid; False if this guest has none.

        The signal is sent (handed to the kernel, or written to the guest's agent) before the
        method suspends for the first time. SIGHUP is a toggle: the VM's actor calls this right
        after it has seen that the display is suspended, and anything awaited before the signal
        would make that check useless. Afterwards the method may wait for a few seconds at most,
        since the VM's actor waits for it.

        Raises HostFailed or TimedOut only if the signal was not sent. Where that is not known,
        returns True: the display's log tells what happened.
        """
        ...

    async def dismiss_display(self, spec: GuestSpec, port: int) -> None:
        """Make a display that listens give up its wait, by a connection that ends at once.

        A display that does not listen any more is left alone. Raises TimedOut.
        """
        ...

    async def wait_display(self, spec: GuestSpec, pid: int) -> None:
        """Return once the process with that guest pid is gone; at once if it is gone already."""
        ...

    async def wait_exit(self, process: GuestProcess) -> None:
        """Return once the guest is gone; at once if it is gone already."""
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


class RunFolders(Protocol):
    """The small folders that guests share with the node; what is in them is only a hint."""

    def path(self, vm_id: VmId) -> Path:
        """Where the VM's folder is, made or not."""
        ...

    async def create(self, vm_id: VmId, ids: IdRange) -> None:
        """A new, empty folder in place of whatever was there; raises HostFailed."""
        ...

    async def remove(self, vm_id: VmId) -> None:
        """Undo `create`; safe to repeat."""
        ...

    async def adopt(self, vm_id: VmId) -> bool:
        """Whether the folder that an earlier process made is still in place."""
        ...

    async def sweep(self, keep: Sequence[VmId]) -> Sequence[str]:
        """Remove the folders of VMs that are not in `keep`; name them."""
        ...

    def write_params(self, vm_id: VmId, content: bytes) -> None:
        """Replace the parameters of the session script; raises HostFailed."""
        ...

    def follow(
        self, vm_id: VmId, heard: Callable[[Sequence[DisplayEvent]], None]
    ) -> Callable[[], None]:
        """Report what the display's log holds, once before this returns and whenever it grows.

        The answer ends it. Raises PartGone when there is no folder, HostFailed when it cannot be
        looked at now.
        """
        ...

    def trim(self, vm_id: VmId) -> None:
        """Shorten the log of a suspended display when it has grown long."""
        ...

    def display_pid(self, vm_id: VmId) -> int | None:
        """The guest pid that the session script noted for the display."""
        ...

    def log_tail(self, vm_id: VmId) -> str:
        """The end of the display's and the session script's logs, for a person."""
        ...

    def desktop_exit(self, vm_id: VmId) -> int | None:
        """The exit code of the desktop's program that the session script noted."""
        ...


class PastStarts(Protocol):
    """What is kept of starts whose guest is gone, the newest few of each VM."""

    async def keep(self, record: StartRecord, home: Path | None) -> None:
        """Keep a record, with the end of what the desktop printed into `home`; never raises."""
        ...

    async def of(self, vm_id: VmId) -> Sequence[StartRecord]:
        """The VM's past starts, oldest first."""
        ...


class RootfsProvider(Protocol):
    """Makes and unmakes root file systems."""

    async def require_room(
        self, order: DesktopOrder, promised: Callable[[], Sequence[DesktopOrder]]
    ) -> None:
        """Raise NodeFull while the disk has no room for the desktop beside what is `promised`.

        Changes nothing, and awaits nothing between that look and its return.
        """
        ...

    async def mount(self, order: DesktopOrder, generation: Generation, ids: IdRange) -> GuestRoot:
        """A fresh root and the user's home for this generation.

        Raises HostFailed, BadImage, and NodeFull when the disk has filled up since.
        """
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

    async def adopt(self, vm_id: VmId, port: GuestPort) -> None:
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
        Unavailable, of which AcquireUnknown alone means that it may have happened."""
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

    def refusal(self, memory_mib: int, promised_mib: int) -> str | None:
        """Why a guest of that size does not fit, for a person, or None when it does."""
        ...
