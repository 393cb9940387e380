"""What the fleet is built from, joined in daemon/build.py."""

from collections.abc import Callable
from dataclasses import dataclass

from qvdnode.runtime.clock import Clock
from qvdnode.vm.ports import (
    Admission,
    Confinement,
    GuestDriver,
    Recovery,
    RootfsProvider,
    RunFolders,
    VmStore,
)
from qvdnode.vm.settings import VmSettings


@dataclass(frozen=True, slots=True)
class FleetParts:
    """Every port, the settings, and the facts of this boot."""

    driver: GuestDriver
    rootfs: RootfsProvider
    confinement: Confinement
    run_folders: RunFolders
    store: VmStore
    admission: Admission
    recovery: Recovery
    clock: Clock
    settings: VmSettings
    boot_id: str
    lease_ran_out: Callable[[], str | None]
    """Why nothing that was claimed may be started any more, or None; asked before each launch."""
