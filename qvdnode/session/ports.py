"""What the use cases need: hosts of desktops below them, clients above them."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from qvdnode.model.console import ConsoleOutput, ConsoleWish
from qvdnode.model.display_params import DisplayParams
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.guest import GuestMemory
from qvdnode.model.home_files import FileListing, FilePart, Upload, UploadState
from qvdnode.model.ids import NodeId, TenantId, UserId, VmId
from qvdnode.model.image_commit import CommitRecord, CommitWish
from qvdnode.model.seat import Seat, Viewer
from qvdnode.vm.core.start_record import StartRecord
from qvdnode.vm.status import GuestStatus


class DesktopHost(Protocol):
    """The node that runs a desktop, be it this one or another.

    Arguments, answers and events are frozen values, so all of it can cross a wire. Every call may
    raise Unavailable: the host starts, stops, or cannot be reached.

    Events: progress and eviction are `ViewerEvent`s, sent to the node that `Viewer` names, in the
    order in which they happen. Progress of a request is sent before its answer, and nothing is sent
    for a viewer after its request failed or its seat was given back.
    """

    async def attach(self, order: DesktopOrder, params: DisplayParams, viewer: Viewer) -> Seat:
        """Return the address of a display that listens for this client; start it if need be.

        A newer client replaces an older one, which is evicted. Cancelling the call withdraws the
        client, even if its seat was on the way.

        Raises NodeFull, GuestFailed, TimedOut, Unavailable, Conflict; then nobody is attached.
        """
        ...

    def detach(self, seat: Seat) -> None:
        """Report that the stream of that seat has ended; does not wait. A stale one is ignored."""
        ...

    async def start(self, order: DesktopOrder, viewer: Viewer | None = None) -> None:
        """Return once the VM's desktop runs; raises as `attach`. The viewer gets the progress."""
        ...

    async def stop(self, vm_id: VmId) -> None:
        """Return once nothing of the VM is left, its row included; one that does not run is fine.

        While the database is away the row is written later.
        """
        ...

    async def disconnect(self, vm_id: VmId) -> bool:
        """Evict the VM's client; False if it has none."""
        ...

    async def status(self, vm_id: VmId) -> GuestStatus | None:
        """Status of the VM, or None when nothing of it is on this host."""
        ...

    async def statuses(self) -> Sequence[GuestStatus]:
        """Status of every VM that is on this host."""
        ...

    async def memory(self, vm_id: VmId) -> GuestMemory | None:
        """What the VM's guest uses now, or None when it does not run on this host."""
        ...

    async def type_text(self, vm_id: VmId, text: str) -> None:
        """Type a text on the VM's display, whatever keys its keyboard has.

        Raises NotFound when it does not run on this host, GuestFailed, Conflict, TimedOut.
        """
        ...

    async def console(self, vm_id: VmId, wish: ConsoleWish) -> ConsoleOutput:
        """Exchange with the console of the VM's guest, a second at most if nothing happens there.

        Raises NotFound when it does not run on this host, Conflict when somebody else has it or its
        driver knows none, HostFailed, TimedOut.
        """
        ...

    async def commit(self, vm_id: VmId, wish: CommitWish) -> CommitRecord:
        """Commit what was changed in the VM's desktop, on this host; it goes on running.

        Raises NotFound when it does not run here, BadImage when a file changes meanwhile,
        HostFailed, NodeFull.
        """
        ...

    async def list_files(self, vm_id: VmId, path: str) -> FileListing:
        """What is in a folder of the home; the empty path is the home itself.

        This and the three below raise NotFound when the VM does not run on this host, Invalid,
        Forbidden, Conflict, HomeFull, Throttled, TimedOut, HostFailed.
        """
        ...

    async def read_file(self, vm_id: VmId, path: str, offset: int, length: int) -> FilePart:
        """A part of a file in the home; empty behind its end."""
        ...

    async def upload(self, vm_id: VmId, upload: Upload, offset: int, content: bytes) -> UploadState:
        """Take a part of a file into the home; the file is in place once it is whole.

        A part that does not continue what has arrived changes nothing; the answer says how much
        that is. An empty part begins an upload.
        """
        ...

    async def cancel_upload(self, vm_id: VmId, upload: Upload) -> None:
        """Remove what has arrived of a file; safe to repeat."""
        ...

    async def log_tail(self, vm_id: VmId) -> str:
        """The ends of the VM's logs: of its last starts, and of the guest that runs.

        Raises NotFound when it was never started on this host.
        """
        ...

    async def past_starts(self, vm_id: VmId) -> Sequence[StartRecord]:
        """The VM's last starts on this host whose guest is gone, oldest first."""
        ...


class DesktopMap(Protocol):
    """Which desktops other nodes run, as they have told: known also while the database is away.

    A hint: a desktop may have ended or moved meanwhile, so its node is asked.
    """

    def node_of(self, vm_id: VmId) -> NodeId | None:
        """The node that runs the VM; None when none but this one may."""
        ...

    def desktops_of(self, user_id: UserId, tenant_id: TenantId) -> Mapping[VmId, NodeId]:
        """The VMs of a user that other nodes run, with their nodes."""
        ...


class ClientEnd(Protocol):
    """The connection of a client to this node."""

    def evict(self, reason: str) -> None:
        """Close the client's stream soon; its end is then reported by `Desktops.ended`."""
        ...
