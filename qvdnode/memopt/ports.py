"""What memopt/ needs from the part that runs desktops."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from qvdnode.model.farm import DesktopOrder
from qvdnode.model.guest import GuestMemory, HostNeed
from qvdnode.model.ids import VmId
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
    def since(self) -> datetime:
        """When it entered `state`."""
        ...

    @property
    def viewer(self) -> bool:
        """Whether a client is attached."""
        ...

    @property
    def unused_since(self) -> datetime | None:
        """Since when nobody wants it; None while somebody does."""
        ...


class Desktops(Protocol):
    """The desktops of this node."""

    def guests(self) -> Sequence[DesktopStatus]:
        """Return the status of each."""
        ...

    async def memory(self, vm_id: VmId) -> GuestMemory | None:
        """What the guest uses now, or None when it does not run."""
        ...

    async def settle_balloon(self, vm_id: VmId, need: HostNeed) -> int | None:
        """Have a virtual machine give memory back, or return it, by its balloon.

        How many MiB are taken of it; None for what has no balloon. Raises HostFailed, TimedOut.
        """
        ...

    def control_group(self, vm_id: VmId) -> str | None:
        """The control group of its processes; None if it has none."""
        ...

    async def hibernate(self, vm_id: VmId) -> bool:
        """Freeze a desktop that nobody uses, its memory to go to swap; False if it is in use."""
        ...


class Reclaimer(Protocol):
    """Pushes memory of guests to swap."""

    @property
    def pending(self) -> int:
        """How many hibernated guests have memory that is on its way there."""
        ...

    async def push(self, steps: Sequence[tuple[str, int]]) -> None:
        """Push so many bytes of each running group there; raises HostFailed, TimedOut."""
        ...
