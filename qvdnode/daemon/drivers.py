"""The drivers that this program has, by the names that flavours use: the one list of them."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from qvdnode.daemon.config import Config
from qvdnode.daemon.membership import Membership
from qvdnode.db.nodes import Nodes
from qvdnode.model.errors import FarmError, Unavailable
from qvdnode.runtime.clock import Clock
from qvdnode.vm.driver_table import DriverTable
from qvdnode.vm.drivers import machine_boot
from qvdnode.vm.drivers.docker import DockerDriver, DockerPlace
from qvdnode.vm.drivers.kvm import KvmDriver, KvmPlace
from qvdnode.vm.drivers.lxc import LxcDriver, LxcSettings
from qvdnode.vm.guest_driver import GuestDriver
from qvdnode.vm.instance import Instance

log = logging.getLogger(__name__)

MakeDriver = Callable[[Config, Instance, Clock], GuestDriver]


def _lxc(config: Config, instance: Instance, clock: Clock) -> GuestDriver:
    settings = LxcSettings(
        folder=instance.state_dir / "lxc",
        prefix=instance.prefix,
        bridge=config.network.bridge_name,
    )
    return LxcDriver(settings, clock)


def _docker(config: Config, instance: Instance, clock: Clock) -> GuestDriver:
    place = DockerPlace(
        folder=instance.state_dir / "docker",
        prefix=instance.prefix,
        bridge=config.network.bridge_name,
        socket=config.drivers.docker.socket,
        runtime=config.drivers.docker.runtime,
    )
    return DockerDriver(place, clock)


def _kvm(config: Config, instance: Instance, clock: Clock) -> GuestDriver:
    place = KvmPlace(
        folder=instance.state_dir / "kvm",
        prefix=instance.prefix,
        bridge=config.network.bridge_name,
        accelerator=config.drivers.kvm.fixed_accelerator,
    )
    return KvmDriver(place, clock)


OWN_KERNEL: Final = "kvm"
"""The one driver whose guests boot a kernel of their image."""
DRIVERS: Final[Mapping[str, MakeDriver]] = MappingProxyType(
    {"lxc": _lxc, "docker": _docker, OWN_KERNEL: _kvm}
)


def driver_table(
    config: Config, instance: Instance, clock: Clock, drivers: Mapping[str, MakeDriver] = DRIVERS
) -> DriverTable:
    """Make every driver for this node; nothing on the host changes by that."""
    return DriverTable({name: make(config, instance, clock) for name, make in drivers.items()})


def image_problems(root: Path, work: Path) -> dict[str, str | None]:
    """For each driver, why it cannot run an image that a node has imported; None if it can.

    `work` is an empty folder for what is made to try it. Blocks.
    """
    of_kernel: str | None = None
    try:
        machine_boot.prepare(root, work)
    except FarmError as error:
        of_kernel = str(error)
    # Containers need the session files alone, without which nothing is imported.
    return {name: of_kernel if name == OWN_KERNEL else None for name in DRIVERS}


class DriverOffer:
    """Checks the drivers periodically, and keeps the node's row up to date about them."""

    def __init__(self, drivers: DriverTable, nodes: Nodes, membership: Membership) -> None:
        self._drivers = drivers
        self._nodes = nodes
        self._membership = membership
        self._written: frozenset[str] | None = None

    async def check(self) -> None:
        """Check the drivers; write what is offered if the row does not say so."""
        await self._drivers.check()
        row, offered = self._membership.row, self._drivers.offered()
        if row is None or offered == self._written:
            return
        try:
            await self._nodes.offer(row.node_id, row.epoch, sorted(offered))
        except Unavailable as error:
            # The next check writes it. Until then other nodes may place a start here that is
            # refused, which is told to the user.
            log.warning("drivers_not_written", extra={"because": str(error)})
        else:
            self._written = offered
