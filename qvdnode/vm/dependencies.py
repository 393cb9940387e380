"""What the fleet is built from (joined in daemon/build.py), and what all its VMs share."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from qvdnode.model.farm import DesktopOrder
from qvdnode.model.guest import GuestSpec
from qvdnode.model.ids import NodeId, TenantId
from qvdnode.model.seat import ViewerEvent
from qvdnode.runtime.clock import Clock
from qvdnode.vm.core.id_slots import IdSlots
from qvdnode.vm.driver_table import DriverTable
from qvdnode.vm.guest_driver import GuestDriver
from qvdnode.vm.instance import Instance
from qvdnode.vm.ports import (
    Admission,
    Confinement,
    DesktopChanges,
    GuestFreezer,
    ImageContents,
    ImageSupply,
    PastStarts,
    RootfsProvider,
    RunFolders,
    VmStore,
)
from qvdnode.vm.resources import GuestResources
from qvdnode.vm.settings import VmSettings
from qvdnode.vm.start_limiter import StartLimiter
from qvdnode.vm.state_file import StateFiles


@dataclass(frozen=True, slots=True)
class FleetDependencies:
    """Every port, the settings, and the facts of this instance and boot."""

    drivers: DriverTable
    images: ImageSupply
    rootfs: RootfsProvider
    contents: ImageContents
    changes: DesktopChanges
    confinement: Confinement
    run_folders: RunFolders
    past_starts: PastStarts
    store: VmStore
    admission: Admission
    freezer: GuestFreezer
    may_merge: Callable[[TenantId, Collection[TenantId]], bool]
    """Whether the kernel may merge the memory of a new guest of that tenant with that of theirs."""
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

    def driver(self, guest: GuestResources) -> GuestDriver:
        """The driver that runs the guest; raises HostFailed when this node lacks it."""
        return self.drivers.get(guest.driver)

    def spec(self, guest: GuestResources) -> GuestSpec | None:
        """What the driver needs to know of the guest, once everything for it is there."""
        return guest.spec(self.instance.prefix, self.run_folders.path(guest.order.vm.id))

    def running(self, guest: GuestResources | None) -> tuple[GuestDriver, GuestSpec] | None:
        """The guest's driver and spec; None when none runs."""
        if guest is None or not guest.process or (spec := self.spec(guest)) is None:
            return None
        return self.driver(guest), spec

    def control_group(self, guest: GuestResources | None) -> str | None:
        """The control group by which the guest can be frozen; None when there is none."""
        spec = None if guest is None else self.spec(guest)
        if guest is None or spec is None:
            return None
        return self.driver(guest).control_group(spec)


@dataclass(frozen=True, slots=True)
class FleetState:
    """Queues, id ranges and state files, which all VMs of a fleet share."""

    limiter: StartLimiter
    redraws: asyncio.Semaphore
    """Slots to resume a display and have it drawn."""
    slots: IdSlots
    state_files: StateFiles
    promised: Callable[[], Sequence[DesktopOrder]]
    """The orders of all guests that start or run."""
    merging: Callable[[], Collection[TenantId]]
    """The tenants of all guests whose memory the kernel may merge."""
    overhead_mib: Callable[[str], int]
    """What a guest of that driver costs beside the memory of its flavour."""

    def promised_mib(self) -> int:
        """Memory of all guests that start or run."""
        return sum(self.needed_mib(order) for order in self.promised())

    def needed_mib(self, order: DesktopOrder) -> int:
        """Memory of the order's flavour, and what its driver needs beside it."""
        return order.flavour.memory_mib + self.overhead_mib(order.flavour.driver)
