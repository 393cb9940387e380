"""What is needed of those who run desktops."""

from collections.abc import Sequence
from typing import Protocol

from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import Generation, UserId, VmId
from qvdnode.model.vm_state import VmState


class DesktopStatus(Protocol):
    """How one desktop of this node is."""

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
        """Which start it is of; None before it has one."""
        ...


class Desktops(Protocol):
    """The desktops of this node."""

    def guests(self) -> Sequence[DesktopStatus]:
        """How all of them are."""
        ...

    def end_for_disk(self, vm_id: VmId, because: str, *, at_once: bool) -> None:
        """End a desktop that fills the disk: asked first, or killed."""
        ...


class WriteBarrier(Protocol):
    """Keeps desktops that are to be ended from writing meanwhile."""

    async def cut_off(self, vm_id: VmId, user_id: UserId, generation: Generation) -> None:
        """Let root and home grow no more; raises HostFailed."""
        ...
