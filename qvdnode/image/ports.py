"""What image/ needs from the part that runs desktops."""

from collections.abc import Sequence
from typing import Protocol

from qvdnode.image.store.partial import PartialCommit
from qvdnode.image.store.repository import Repository
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import Generation, ImageId, NodeId, UserId, VmId
from qvdnode.model.vm_state import VmState


class DesktopStatus(Protocol):
    """The status of one desktop of this node."""

    @property
    def order(self) -> DesktopOrder:
        """What it was started with."""
        ...

    @property
    def state(self) -> VmState:
        """Its state now."""
        ...

    @property
    def generation(self) -> Generation | None:
        """Its generation; None before it has one."""
        ...


class Desktops(Protocol):
    """The desktops of this node."""

    def guests(self) -> Sequence[DesktopStatus]:
        """Return the status of each."""
        ...

    def end_for_disk(self, vm_id: VmId, reason: str, *, at_once: bool) -> None:
        """Stop a desktop that fills the disk: ask it, or kill it if `at_once`."""
        ...


class StartNotes(Protocol):
    """Keeps what each start runs on."""

    async def note_start(
        self, vm_id: VmId, generation: Generation, image_id: ImageId, version: int
    ) -> None:
        """Note the version of a start; raises FarmError, and the start goes on without."""
        ...


class WriteBarrier(Protocol):
    """Blocks writes of desktops that are being stopped."""

    async def block_writes(self, vm_id: VmId, user_id: UserId, generation: Generation) -> None:
        """Block writes to root and home; raises HostFailed."""
        ...


class PullProgress(Protocol):
    """Hears how the fetch of a commit goes on."""

    def begin(self, total_bytes: int) -> None:
        """So much is missing; raises NodeFull when there is no room for it."""
        ...

    def step(self, received_bytes: int) -> None:
        """So much of it came."""
        ...


class CommitSource(Protocol):
    """Other nodes, as places to fetch commits from."""

    async def pull(
        self, node_id: NodeId, store: Repository, commit: str, progress: PullProgress
    ) -> PartialCommit:
        """Fetch what the store lacks of a commit from that node, as far as it has it.

        Raises Unavailable, NotFound, BadImage, NodeFull, HostFailed; what came stays for the next
        attempt.
        """
        ...


class VersionCatalogue(Protocol):
    """What the farm knows of versions."""

    async def version_commit(self, image_id: ImageId, version: int) -> tuple[str, str | None]:
        """The image's name, and the version's commit, None while no node has told it.

        Raises NotFound, Unavailable.
        """
        ...
