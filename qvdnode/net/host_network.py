"""Reads the host's routes and resolvers, which the guests' network depends on."""

import asyncio
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

from qvdnode.host import links
from qvdnode.model.errors import HostFailed
from qvdnode.model.guest import DISPLAY_PORT
from qvdnode.net.core import resolvers, subnets
from qvdnode.net.core.packet_rules import Perimeter
from qvdnode.net.core.resolvers import Resolvers
from qvdnode.net.settings import NetSettings, Uplink

RESOLV_CONFS: Final = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))


async def routes() -> list[subnets.Route]:
    """The host's IPv4 routes."""
    return [subnets.Route(destination, link) for destination, link in await links.routes()]


async def unused_subnet(*, prefixlen: int, seed: int) -> IPv4Network:
    """A subnet that the host has no route to, for demos and tests; raises HostFailed."""
    found = subnets.unused(await routes(), prefixlen=prefixlen, seed=seed)
    if found is None:
        raise HostFailed(f"no /{prefixlen} of {subnets.SUGGESTED} is free on this host")
    return found


async def guest_resolvers(settings: NetSettings) -> Resolvers:
    """What to tell guests of name resolution: what the config says, else what the host has."""
    found = await asyncio.to_thread(_host_resolvers)
    return Resolvers(settings.resolvers or found.servers, settings.search_domains or found.search)


async def perimeter(settings: NetSettings) -> Perimeter:
    """The bounds of the guests' network, from the config and the host's routes as they are now."""
    known = await routes()
    connected = settings.uplink is not Uplink.NONE
    uplinks = subnets.default_links(known)
    if settings.uplink_interface is not None:
        uplinks = (settings.uplink_interface,)
    host_networks = subnets.host_networks(known, own=settings.bridge_name)
    return Perimeter(
        prefix=settings.prefix,
        bridge=settings.bridge_name,
        subnet=settings.subnet,
        display_port=DISPLAY_PORT,
        node_uid=settings.node_uid,
        masquerade=settings.uplink is Uplink.NAT,
        uplinks=uplinks if connected else (),
        resolvers=(await guest_resolvers(settings)).servers if connected else (),
        allowed=settings.allowed_networks if connected else (),
        denied=(*host_networks, *settings.denied_networks),
        connections_max=settings.connections_max,
    )


def _host_resolvers() -> Resolvers:
    """The first usable servers, and the first domains, that a file names."""
    found = Resolvers()
    for path in RESOLV_CONFS:
        try:
            said = resolvers.usable(path.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
        found = Resolvers(found.servers or said.servers, found.search or said.search)
    return found
