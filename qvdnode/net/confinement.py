"""Confines each guest's network traffic: implements vm.ports.Confinement with nftables.

core/frame_rules.py and core/packet_rules.py define the rules. This module loads them into the
kernel, one transaction per change, and restores them when they are lost.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace

from qvdnode.host import links
from qvdnode.model.guest import GuestPort
from qvdnode.model.ids import VmId
from qvdnode.net import host_network
from qvdnode.net.core import frame_rules, names, packet_rules
from qvdnode.net.core.expressions import Json
from qvdnode.net.core.frame_rules import AllowedSource
from qvdnode.net.core.pool import AddressPool
from qvdnode.net.nft import MissingRules, Nft, RulesTimedOut
from qvdnode.net.settings import NetSettings
from qvdnode.runtime.shield import run_shielded
from qvdnode.telemetry.metrics import Gauge

log = logging.getLogger(__name__)

CONFINED = Gauge("qvdnode_confined_guests", "Guests that the packet rules know")
DROPPED = Gauge(
    "qvdnode_dropped_packets",
    "Packets that the guests' rules dropped since the rules were made, by reason",
    ["reason"],
)


class NftConfinement:
    """Confinement by nftables: one bridge-family and one inet-family table per instance."""

    def __init__(self, settings: NetSettings, nft: Nft) -> None:
        self._settings = settings
        self._nft = nft
        self._pool = AddressPool(settings.subnet)
        self._reserved: dict[VmId, GuestPort] = {}
        self._confined: dict[str, GuestPort] = {}
        """The guests that are in the kernel's sets, by link."""
        self._unsettled = False
        """Whether a reconciliation is incomplete, or the result of a change is unknown."""
        self._late_returns = nft.late_returns
        """Number of abandoned calls that had returned at the last reconciliation."""
        self._perimeter: packet_rules.Perimeter | None = None
        """The perimeter of the rules that this process has loaded."""
        self._changing = asyncio.Lock()

    async def reserve(self, vm_id: VmId, *, egress: bool) -> GuestPort:
        """Reserve an address, MAC and link name for this VM; raises NodeFull."""
        held = self._reserved.get(vm_id)
        if held is not None:
            port = replace(held, egress=egress)
        else:
            port = GuestPort(
                link=names.link_name(self._settings.prefix, vm_id),
                mac=names.guest_mac(self._settings.prefix, vm_id),
                address=self._pool.reserve(vm_id),
                gateway=self._pool.gateway.ip,
                egress=egress,
            )
        self._reserved[vm_id] = port
        return port

    async def adopt(self, vm_id: VmId, port: GuestPort) -> None:
        """Take over a port that an earlier process reserved; raises Conflict."""
        self._pool.adopt(vm_id, port.address.ip)
        self._reserved[vm_id] = port

    async def confine(self, port: GuestPort) -> None:
        """Load the guest's rules; call it before the guest runs. Raises HostFailed."""
        async with self._changing:
            before = self._confined.get(port.link)
            commands = self._expel(before) if before not in {None, port} else []
            try:
                await self._change([*commands, *self._admit(port)])
            except MissingRules:
                await self._install([*self._others(port.link), port])
            self._remember([*self._others(port.link), port])

    async def release(self, vm_id: VmId, port: GuestPort) -> None:
        """Remove link and rules and free the address; safe to repeat; raises HostFailed."""
        async with self._changing:
            # If cancelled, the thread would go on and could remove the link of the next start.
            await run_shielded(links.remove_link(port.link))
            try:
                await self._change(self._expel(port))
            except MissingRules:
                log.debug("rules_gone_already", extra={"link": port.link})
            self._remember(self._others(port.link))
            self._reserved.pop(vm_id, None)
            self._pool.release(vm_id)

    async def reconcile(self, ports: Sequence[GuestPort]) -> Sequence[str]:
        """Make rules and links match exactly these ports; returns the removed links.

        Raises HostFailed; then each `check` tries again.
        """
        async with self._changing:
            self._remember(ports)
            self._unsettled = True
            return await self._settle()

    async def check(self) -> bool:
        """Read the counters, and reload the rules if necessary; True if they were reloaded.

        They are reloaded when another program removed them, when an abandoned change may have
        taken effect, or when the host's routes have changed, since denied networks and the uplink
        depend on those.
        """
        async with self._changing:
            bridge = await links.find_link(self._settings.bridge_name)
            if (self._unsettled or self._changed_late()) and bridge is not None:
                await self._settle()
                log.warning("rules_restored", extra={"lost": True, "guests": len(self._confined)})
                return True
            if self._perimeter is None or bridge is None:
                return False
            lost = not await self._read_counters()
            if not lost and await host_network.perimeter(self._settings) == self._perimeter:
                return False
            await self._install(list(self._confined.values()))
            # Lost rules are a fault; a reload after a change of routes is normal.
            level = logging.WARNING if lost else logging.INFO
            log.log(level, "rules_restored", extra={"lost": lost, "guests": len(self._confined)})
            return True

    async def dropped(self) -> dict[str, int]:
        """Return the dropped packets by reason; raises MissingRules if the tables are gone."""
        table = names.table_name(self._settings.prefix)
        found: dict[str, int] = {}
        for family in (frame_rules.FAMILY, packet_rules.FAMILY):
            listing = await self._nft.listing({"counters": {"family": family, "table": table}})
            counters = [item["counter"] for item in listing if "counter" in item]
            if not counters:
                raise MissingRules(f"the table {family} {table} is gone")
            found.update({counter["name"]: counter["packets"] for counter in counters})
        return found

    async def _change(self, commands: Sequence[Json]) -> None:
        try:
            await self._nft.change(commands)
        except RulesTimedOut:
            # Until this process has loaded rules, keep those of an earlier process unchanged.
            self._unsettled = self._unsettled or self._perimeter is not None
            raise

    def _changed_late(self) -> bool:
        return self._perimeter is not None and self._nft.late_returns != self._late_returns

    async def _settle(self) -> list[str]:
        late_returns = self._nft.late_returns
        ports = list(self._confined.values())
        removed = await self._remove_stale_links({port.link for port in ports})
        await self._install(ports)
        await self._attach(ports)
        self._unsettled, self._late_returns = False, late_returns
        if removed:
            log.info("stale_links_removed", extra={"links": removed})
        return removed

    async def _install(self, ports: Sequence[GuestPort]) -> None:
        perimeter = await host_network.perimeter(self._settings)
        frames = frame_rules.frame_table(
            self._settings.prefix, [_allowed_source(port) for port in ports]
        )
        packets = packet_rules.packet_table(
            perimeter, [port.address.ip for port in ports if port.egress]
        )
        await self._change([*frames.replace(), *packets.replace()])
        self._perimeter = perimeter

    async def _read_counters(self) -> bool:
        """Update the metrics; False if the counters do not exist."""
        try:
            for reason, packets in (await self.dropped()).items():
                DROPPED.labels(reason).set(packets)
        except MissingRules:
            return False
        return True

    async def _remove_stale_links(self, keep: set[str]) -> list[str]:
        known = await links.all_links()
        bridges = [link.index for link in known if link.name == self._settings.bridge_name]
        stale = [
            link.name
            for link in known
            if names.is_guest_link(self._settings.prefix, link.name)
            and link.name not in keep
            # another program may use such a name, so check the kind of link, too
            and link.kind in {"veth", "tun"}
            and (link.master is None or link.master in bridges)
        ]
        return [name for name in stale if await links.remove_link(name)]

    async def _attach(self, ports: Iterable[GuestPort]) -> None:
        """Attach guests to the bridge again, in case it was recreated."""
        known = {link.name: link for link in await links.all_links()}
        bridge = known.get(self._settings.bridge_name)
        for port in ports:
            link = known.get(port.link)
            if link is not None and bridge is not None and link.master != bridge.index:
                await links.attach(link, bridge)

    def _admit(self, port: GuestPort) -> list[Json]:
        prefix = self._settings.prefix
        egress = packet_rules.allow_egress if port.egress else packet_rules.deny_egress
        return [*frame_rules.admit(prefix, _allowed_source(port)), *egress(prefix, port.address.ip)]

    def _expel(self, port: GuestPort | None) -> list[Json]:
        if port is None:
            return []
        prefix = self._settings.prefix
        return [
            *frame_rules.expel(prefix, _allowed_source(port)),
            *packet_rules.deny_egress(prefix, port.address.ip),
        ]

    def _others(self, link: str) -> list[GuestPort]:
        return [port for port in self._confined.values() if port.link != link]

    def _remember(self, ports: Iterable[GuestPort]) -> None:
        self._confined = {port.link: port for port in ports}
        CONFINED.set(len(self._confined))


def _allowed_source(port: GuestPort) -> AllowedSource:
    return AllowedSource(port.link, port.mac, port.address.ip)
