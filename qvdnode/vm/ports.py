"""What the fleet needs beside drivers (guest_driver.py), as Protocols joined in daemon/build.py."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from qvdnode.model.farm import DesktopOrder
from qvdnode.model.guest import FreeSpace, GuestPort, GuestRoot, IdRange
from qvdnode.model.ids import Generation, ImageId, UserId, VmId
from qvdnode.model.image_commit import CommitRecord, CommitWish
from qvdnode.model.image_lack import Lacking
from qvdnode.model.vm_state import VmState
from qvdnode.vm.core.display import DisplayEvent
from qvdnode.vm.core.start_record import StartRecord


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

    def write_notice(self, vm_id: VmId, content: bytes) -> None:
        """Replace the sentence that the session script's `notify` shows; raises HostFailed."""
        ...

    def write_typed(self, vm_id: VmId, content: bytes) -> None:
        """Replace the text that the session script's `type` types; raises HostFailed."""
        ...

    def follow(
        self, vm_id: VmId, report: Callable[[Sequence[DisplayEvent]], None]
    ) -> Callable[[], None]:
        """Report what the display's log holds, once before this returns and whenever it grows.

        The answer ends it. Raises PartGone when there is no folder, HostFailed when it cannot be
        read now.
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

        Changes nothing, and awaits nothing between that check and its return.
        """
        ...

    async def mount(self, order: DesktopOrder, generation: Generation, ids: IdRange) -> GuestRoot:
        """A fresh root and the user's home for this generation.

        Raises HostFailed, BadImage, and NodeFull when the disk has filled up since.
        """
        ...

    def free_space(self, root: GuestRoot) -> FreeSpace:
        """What the guest can still write to its root and its home; raises HostFailed. Blocks."""
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


class ImageSupply(Protocol):
    """Brings images to this node."""

    async def bring(self, image_id: ImageId, version: int, tell: Callable[[str], None]) -> None:
        """Return once this node has that version of the image; `tell` shows who waits a sentence.

        May be cancelled. Raises BadImage when no node that can be reached has it, NodeFull,
        Unavailable, NotFound, HostFailed.
        """
        ...


class DesktopChanges(Protocol):
    """What desktops of this node have changed of their images."""

    async def commit(self, vm_id: VmId, wish: CommitWish) -> CommitRecord:
        """Commit it; raises as session.ports.DesktopHost.commit."""
        ...


class ImageContents(Protocol):
    """What images have."""

    async def lacking_of(self, order: DesktopOrder) -> Lacking:
        """What the desktop's image lacks of what its flavour wants; raises HostFailed."""
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
        """Acquire the VM for this node by one guarded statement.

        Raises Conflict, LeaseLost, or Unavailable; after AcquireUnknown alone, which is one of
        the last kind, the VM may be acquired all the same.
        """
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


class GuestFreezer(Protocol):
    """Freezes guests by their control group, and pushes what is frozen to swap."""

    def freeze(self, group: str) -> None:
        """Keep the group's processes from running; raises HostFailed. Does not wait."""
        ...

    def thaw(self, group: str) -> None:
        """Undo `freeze`; does not wait. A group that is gone is fine; raises HostFailed."""
        ...

    def is_frozen(self, group: str) -> bool:
        """Whether `freeze` was called last, even by an earlier process."""
        ...

    async def reclaim(self, group: str) -> None:
        """Wait until the group is frozen, then push its memory to swap; cancel it before a thaw.

        Raises HostFailed or TimedOut when it does not freeze. What cannot be pushed stays where it
        is.
        """
        ...


class Admission(Protocol):
    """Whether one more guest fits on this host."""

    def refusal(self, memory_mib: int, promised_mib: int) -> str | None:
        """Why a guest of that size does not fit, for a person, or None when it does."""
        ...
