"""What bare desktops share on the host: a bridge, packet rules, ids, a folder; see floor.py."""

import asyncio
import contextlib
import secrets
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

from qvdnode.host import apparmor, cgroups, mounts, process
from qvdnode.host.id_reservations import reserved, unused
from qvdnode.host.idmap import IdMapper
from qvdnode.image import guest_folders, size_limit
from qvdnode.image.layout import Layout
from qvdnode.image.settings import ImageSettings
from qvdnode.image.size_limit import SizeLimit
from qvdnode.model.errors import FarmError
from qvdnode.model.guest import IDS_PER_GUEST
from qvdnode.net.core import frame_rules, names, packet_rules
from qvdnode.net.core.packet_rules import Perimeter
from qvdnode.net.core.table import Table
from qvdnode.net.nft import Nft
from qvdnode.runtime.clock import SystemClock
from qvdnode.vm.core import lxc_config
from qvdnode.vm.core.lxc_config import LxcHost
from qvdnode.vm.drivers.lxc import APPARMOR_PROFILES, SECCOMP_PROFILE, LxcDriver, LxcSettings
from qvdnode.vm.guest_driver import GuestDriver
from tests.harness.node import test_root
from tests.places import place_of_ones_own

PLACES: Final = 125
"""How many such hosts there may be at once, each with a subnet of its own."""
CLAIMS: Final = Path("/run/lock/qvdnode-bench")
DISPLAY_PORT: Final = 4100


@dataclass(frozen=True)
class BareHost:
    """Names, numbers and open handles; all that is made on the host bears the prefix."""

    image: Path
    folder: Path
    prefix: str
    subnet: IPv4Network
    ids: range
    """Host ids of all guests; the first guest has the number 1."""
    display: str
    """Where the desktops are shown."""
    nft: Nft
    mapper: IdMapper
    driver: GuestDriver
    """Finds guests and ends them; it starts none."""
    groups: cgroups.Cgroups
    lxc_host: LxcHost
    limit: SizeLimit

    @property
    def bridge(self) -> str:
        """The name of its bridge."""
        return names.bridge_name(self.prefix)

    @property
    def lxc(self) -> Path:
        """The folder of LXC's files."""
        return self.folder / "lxc"

    async def prepare(self) -> None:
        """Make the folders, the bridge, and the tables of rules without guests."""
        layout = Layout(self.folder)
        for made in (layout.vms, layout.homes, self.lxc):
            made.mkdir(mode=0o711)
        profile = Path(lxc_config.__file__).with_name(SECCOMP_PROFILE)
        shutil.copy(profile, self.lxc / SECCOMP_PROFILE)
        gateway = f"{self.subnet[1]}/{self.subnet.prefixlen}"
        await ip("link", "add", self.bridge, "type", "bridge", "forward_delay", "0")
        await ip("address", "add", gateway, "dev", self.bridge)
        await ip("link", "set", self.bridge, "up")
        perimeter = Perimeter(
            prefix=self.prefix, bridge=self.bridge, subnet=self.subnet, display_port=DISPLAY_PORT,
            node_uid=0, masquerade=False, uplinks=(), resolvers=(), allowed=(), denied=(),
            connections_max=1024,
        )  # fmt: skip
        frames = frame_rules.frame_table(self.prefix, [])
        packets = packet_rules.packet_table(perimeter, [])
        await self.nft.change([*frames.replace(), *packets.replace()])

    async def remove(self) -> None:
        """Undo all that bears the prefix; what cannot be undone does not keep the rest."""
        with contextlib.suppress(FarmError):
            await self.driver.sweep([])
        for family in (frame_rules.FAMILY, packet_rules.FAMILY):
            with contextlib.suppress(FarmError):
                await self.nft.change(Table(family, names.table_name(self.prefix)).remove())
        await process.run(["ip", "link", "delete", self.bridge], check=False)
        self.mapper.close()
        for point in mounts.under(self.folder):
            mounts.unmount(point)
        # It does not enter what is still mounted: that could be the image.
        await guest_folders.delete_tree(self.folder)


async def ip(*words: str) -> None:
    """Run iproute2's `ip`."""
    await process.run(["ip", *words])


@contextlib.asynccontextmanager
async def bare_host(image: Path, display: str, guests: int) -> AsyncIterator[BareHost]:
    """One for so many guests, removed at the end with all guests that are left."""
    prefix = f"f{secrets.token_hex(2)[:3]}"
    count = (guests + 1) * IDS_PER_GUEST
    folder = test_root() / f"floor-{prefix}"
    with place_of_ones_own(PLACES, CLAIMS) as place:
        ids = unused(count, seed=int(prefix[1:], 16))
        with reserved(ids, folder):
            folder.mkdir(mode=0o711, parents=True)
            host = _host(image, folder, prefix, IPv4Network(f"10.251.{place}.0/24"), ids, display)
            try:
                await host.prepare()
                yield host
            finally:
                await asyncio.shield(host.remove())


def _host(
    image: Path, folder: Path, prefix: str, subnet: IPv4Network, ids: range, display: str
) -> BareHost:
    groups = cgroups.probe()
    lxc = folder / "lxc"
    settings = LxcSettings(lxc, prefix, names.bridge_name(prefix))
    lxc_host = LxcHost(
        group=settings.group,
        seccomp_profile=str(lxc / SECCOMP_PROFILE),
        apparmor=APPARMOR_PROFILES[apparmor.probe()],
        unified=groups.version is cgroups.CgroupVersion.V2,
        limits_swap=groups.limits_swap(),
    )
    return BareHost(
        image, folder, prefix, subnet, ids, display, Nft(), IdMapper(),
        LxcDriver(settings, SystemClock(), cgroups=groups), groups, lxc_host,
        size_limit.choose(ImageSettings(folder)),
    )  # fmt: skip
