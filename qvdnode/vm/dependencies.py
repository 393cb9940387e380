"""What the fleet is built from (joined in daemon/build.py), and what all its VMs share."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import NodeId
from qvdnode.model.seat import ViewerEvent
from qvdnode.runtime.clock import Clock
from qvdnode.vm.core.id_slots import IdSlots
from qvdnode.vm.driver_table import DriverTable
from qvdnode.vm.instance import Instance
from qvdnode.vm.ports import (
    Admission,
    Confinement,
    ImageContents,
    PastStarts,
    RootfsProvider,
    RunFolders,
    VmStore,
)
from qvdnode.vm.settings import VmSettings
from qvdnode.vm.start_limiter import StartLimiter
from qvdnode.vm.state_file import StateFiles


@dataclass(frozen=True, slots=True)
class FleetDependencies:
    """Every port, the settings, and the facts of this instance and boot."""

    drivers: DriverTable
    rootfs: RootfsProvider
    contents: ImageContents
    confinement: Confinement
    run_folders: RunFolders
    past_starts: PastStarts
    store: VmStore
    admission: Admission
    clock: Clock
    settings: VmSettings
    instance: Instance
    boot_id: str
    lease_problem: Callable[[], str | None]
    """Why this node may start no VM any more, or None; checked before each launch."""
    node_id: Callable[[], NodeId | None]
    """This node; None before it has joined the farm."""
    tell_viewer: Callable[[ViewerEvent], None]
    """Sends an event to the node that its viewer is connected to; must not block."""


@dataclass(frozen=True, slots=True)
class FleetState:
    """Queues, id ranges and state files, which all VMs of a fleet share."""

    limiter: StartLimiter
    redraws: asyncio.Semaphore
    """Slots to resume a display and have it drawn."""
    slots: IdSlots
    state_files: StateFiles
    promised: Callable[[], Sequence[DesktopOrder]]
    """The orders of all guests that run or come up."""

    def promised_mib(self) -> int:
        """Memory of the flavours of all guests that run or come up."""
        return sum(order.flavour.memory_mib for order in self.promised())
