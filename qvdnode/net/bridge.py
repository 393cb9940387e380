"""Sets up the guests' network: bridge, IP forwarding, and accept rules in foreign firewalls."""

import asyncio
import logging
from typing import Final

from qvdnode.host import links
from qvdnode.host.forwarding import Forwarding
from qvdnode.host.links import Link
from qvdnode.model.errors import HostFailed
from qvdnode.net import foreign_firewalls, host_network
from qvdnode.net.core import frame_rules, names, packet_rules, subnets
from qvdnode.net.core.foreign_firewalls import ForwardChain
from qvdnode.net.core.pool import AddressPool
from qvdnode.net.core.table import Table
from qvdnode.net.nft import Nft
from qvdnode.net.settings import ForeignForward, NetSettings, Uplink
from qvdnode.runtime.rollback import Rollback

log = logging.getLogger(__name__)

BRIDGE_OPTIONS: Final = {
    "ipv6/disable_ipv6": 1,
    "ipv6/accept_ra": 0,
    "ipv6/autoconf": 0,
    "ipv4/proxy_arp": 0,
    "ipv4/rp_filter": 1,
    "ipv4/accept_redirects": 0,
    "ipv4/send_redirects": 0,
    "ipv4/accept_source_route": 0,
    # answer ARP for the gateway's address only, not for other addresses of the host
    "ipv4/arp_ignore": 1,
}


class GuestNetwork:
    """The network parts that all guests share; NftConfinement has the rules for each guest."""

    def __init__(self, settings: NetSettings, nft: Nft, forwarding: Forwarding) -> None:
        self._settings = settings
        self._nft = nft
        self._forwarding = forwarding
        self._address = AddressPool(settings.subnet).gateway
        self._told: list[ForwardChain] = []
        """The foreign chains that were already logged."""
        self._is_up = False
        self._changing = asyncio.Lock()

    async def up(self) -> None:
        """Create missing parts; safe to repeat. Raises HostFailed after undoing its changes."""
        async with self._changing, Rollback() as rollback:
            await self._refuse_collision()
            await self._bring_up_bridge(rollback)
            rollback.undo(self._leave_forwarding)
            await self._keep_way_open()
            rollback.commit()
            self._is_up = True
        log.info(
            "guest_network_up",
            extra={"bridge": self._settings.bridge_name, "subnet": str(self._settings.subnet)},
        )

    async def down(self) -> None:
        """Remove all of it, and the rules, once no guest is left; safe to repeat.

        Raises HostFailed when guests are still attached; nothing is removed then.
        """
        async with self._changing:
            await self._refuse_guests()
            self._is_up = False
            prefix = self._settings.prefix
            await foreign_firewalls.close_for_guests(self._nft, prefix)
            await self._leave_forwarding()
            # Remove the bridge before the rules: while it exists, missing rules are restored.
            bridge = await links.find_link(self._settings.bridge_name)
            if bridge is not None and self._is_ours(bridge):
                await links.remove_link(bridge.name)
            for family in (frame_rules.FAMILY, packet_rules.FAMILY):
                await self._nft.change(Table(family, names.table_name(prefix)).remove())

    async def check(self) -> None:
        """Restore forwarding for guests if another program has changed it; raises HostFailed.

        Another firewall may be started or reloaded at any time.
        """
        async with self._changing:
            if self._is_up:
                await self._keep_way_open()

    async def _refuse_collision(self) -> None:
        known = await host_network.routes()
        route = subnets.collision(self._settings.subnet, known, own=self._settings.bridge_name)
        if route is not None:
            raise HostFailed(
                f"the guests' subnet {self._settings.subnet} overlaps with {route.destination}, "
                f"which this host reaches by {route.link}; choose another [network] subnet"
            )

    async def _bring_up_bridge(self, rollback: Rollback) -> None:
        name = self._settings.bridge_name
        bridge = await links.find_link(name)
        if bridge is not None:
            bridge = await self._checked(bridge)
        if bridge is None:
            await links.create_bridge(name, self._mac(), self._address)
            rollback.undo(lambda: links.remove_link(name))
        await asyncio.to_thread(links.set_link_options, name, BRIDGE_OPTIONS)
        await links.set_up(name)

    async def _checked(self, bridge: Link) -> Link | None:
        """Return the bridge if it is usable; None after an outdated one of ours was removed."""
        if not self._is_ours(bridge):
            raise HostFailed(
                f"there is a link {bridge.name} that this node did not make; "
                "remove it or give [network] another bridge"
            )
        found = await links.addresses(bridge)
        if found == [self._address]:
            return bridge
        if await self._ports(bridge):
            raise HostFailed(
                f"guests are attached to {bridge.name}, whose addresses are "
                f"{', '.join(map(str, found)) or 'none'} and not {self._address}; "
                "stop them before [network] subnet is changed"
            )
        await links.remove_link(bridge.name)
        return None

    async def _refuse_guests(self) -> None:
        bridge = await links.find_link(self._settings.bridge_name)
        if bridge is None or not self._is_ours(bridge):
            return
        ports = await self._ports(bridge)
        if ports:
            raise HostFailed(
                f"guests are still attached to {bridge.name}: {', '.join(sorted(ports))}"
            )

    async def _keep_way_open(self) -> None:
        settings = self._settings
        if settings.uplink is Uplink.NONE:
            return
        if await asyncio.to_thread(self._forwarding.hold, settings.prefix, settings.bridge_name):
            log.info("forwarding_switched_on")
        if settings.foreign_forward is ForeignForward.ACCEPT:
            for chain in await foreign_firewalls.open_for_guests(
                self._nft, settings.prefix, settings.bridge_name
            ):
                log.info("foreign_forward_opened", extra={"chain": str(chain)})
        else:
            # remove rules made under an earlier setting
            await foreign_firewalls.close_for_guests(self._nft, settings.prefix)
            self._tell(await foreign_firewalls.droppers(self._nft))

    def _tell(self, droppers: list[ForwardChain]) -> None:
        """Log each dropping chain once until it stops dropping."""
        for chain in droppers:
            if chain not in self._told:
                log.warning(
                    "foreign_forward_drops",
                    extra={
                        "chain": str(chain),
                        "fix": 'guests have no Internet access; set foreign_forward = "accept"',
                    },
                )
        self._told = droppers

    async def _leave_forwarding(self) -> None:
        if await asyncio.to_thread(self._forwarding.release, self._settings.prefix):
            log.info("forwarding_put_back")

    async def _ports(self, bridge: Link) -> list[str]:
        return [link.name for link in await links.all_links() if link.master == bridge.index]

    def _is_ours(self, bridge: Link) -> bool:
        return bridge.kind == "bridge" and bridge.mac == self._mac()

    def _mac(self) -> str:
        return names.bridge_mac(self._settings.prefix, self._settings.bridge_name)
