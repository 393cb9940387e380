"""Root file systems that are only noted, not mounted; every call takes its time."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from qvdnode.model.errors import HostFailed, NodeFull
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.guest import FreeSpace, GuestRoot, IdRange
from qvdnode.model.ids import Generation, UserId, VmId

LOOP_TURNS = 20
"""Enough for whatever else can be done without time meanwhile."""


class FakeRootfs:
    """Satisfies vm.ports.RootfsProvider; `mounted` is what stands."""

    def __init__(self) -> None:
        self.mounted: set[tuple[VmId, Generation]] = set()
        self.refusal: str | None = None
        """With this sentence `mount` and `unmount` fail, if it is set."""
        self.room_mib = 1 << 40
        """For all roots together."""
        self.full = False
        """Whether the disk is."""
        self.fills_up = False
        """Whether the disk is full by the time of a mount."""
        self.free = FreeSpace(1 << 30, 1 << 30)
        """Of every guest."""

    async def require_room(
        self, order: DesktopOrder, promised: Callable[[], Sequence[DesktopOrder]]
    ) -> None:
        """As the disk is."""
        await _others_first()
        taken = sum(one.flavour.disk_mib for one in promised())
        if self.full or taken + order.flavour.disk_mib > self.room_mib:
            raise NodeFull("the disk is nearly full")

    async def mount(self, order: DesktopOrder, generation: Generation, ids: IdRange) -> GuestRoot:
        """Note it."""
        self.full = self.full or self.fills_up
        await _others_first()
        if self.full:
            raise NodeFull("the disk is nearly full")
        self._refuse()
        self.mounted.add((order.vm.id, generation))
        return GuestRoot(Path(f"/roots/{order.vm.id}"), Path(f"/homes/{order.user.id}"))

    def free_space(self, root: GuestRoot) -> FreeSpace:
        """As the test set it."""
        return self.free

    async def unmount(self, vm_id: VmId, user_id: UserId, generation: Generation) -> None:
        """Forget it."""
        await _others_first()
        self._refuse()
        self.mounted.discard((vm_id, generation))

    async def adopt(self, vm_id: VmId, user_id: UserId, generation: Generation) -> bool:
        """Whether it stands."""
        await _others_first()
        return (vm_id, generation) in self.mounted

    async def sweep(self, keep: Sequence[tuple[VmId, Generation]]) -> Sequence[str]:
        """Forget those that are not kept."""
        await _others_first()
        strangers = sorted(self.mounted - set(keep))
        self.mounted &= set(keep)
        return [f"{vm_id}/{generation}" for vm_id, generation in strangers]

    def _refuse(self) -> None:
        if self.refusal is not None:
            raise HostFailed(self.refusal)


async def _others_first() -> None:
    for _ in range(LOOP_TURNS):
        await asyncio.sleep(0)
