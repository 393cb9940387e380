"""Settings of the guest network: the `[network]` section."""

import re
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from qvdnode.net.core import names
from qvdnode.net.core.resolvers import DOMAINS_LENGTH_MAX, DOMAINS_MAX, search_domains

LINK_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,15}")
SMALLEST_PREFIX: Final = 16
LARGEST_PREFIX: Final = 29
SMALLEST_CONNECTIONS_MAX: Final = 16
"""With less, no web page opens."""
DEFAULT_SUBNET: Final = IPv4Network("10.117.0.0/20")


class Uplink(StrEnum):
    """How guests reach the Internet."""

    NAT = "nat"
    """By NAT to the node's address."""
    ROUTED = "routed"
    """With their own addresses; the network must have a route back."""
    NONE = "none"
    """They do not."""


class ForeignForward(StrEnum):
    """What to do about another firewall that drops forwarded packets."""

    REPORT = "report"
    """Report it in the log and in `qvdnode doctor`."""
    ACCEPT = "accept"
    """Put two accept rules of ours into its chain, and take them away at the end."""


@dataclass(frozen=True, slots=True)
class NetSettings:
    """The `[network]` section."""

    prefix: str = ""
    """The instance's prefix, before the names of links, bridge and tables."""
    bridge: str = ""
    """Name of the bridge; empty takes `qvd0` with the instance's prefix before it."""
    subnet: IPv4Network = DEFAULT_SUBNET
    """Addresses of the guests; the first is the node's own. No route of the host may lead there."""
    uplink: Uplink = Uplink.NAT
    """How guests reach the world: `nat`, `routed` or `none`."""
    uplink_interface: str | None = None
    """The link that leads to the world; without one those of the default routes are taken."""
    resolvers: tuple[IPv4Address, ...] = ()
    """DNS resolvers of the guests; reachable even inside a denied network. Without any, guests
    get those of the host that are not on the host itself."""
    search_domains: tuple[str, ...] = ()
    """Domains in which guests look up names without a dot, at most six. Without any, guests get
    those of the host's resolv.conf."""
    allowed_networks: tuple[IPv4Network, ...] = ()
    """Networks that guests may reach although they would be denied otherwise (file servers,
    printers)."""
    denied_networks: tuple[IPv4Network, ...] = ()
    """Networks that guests may not reach, besides those that the host stands in and those of cloud
    providers' own services (link-local, 100.64.0.0/10, 168.63.129.16, 192.0.0.192)."""
    foreign_forward: ForeignForward = ForeignForward.REPORT
    """What to do when another firewall drops forwarded packets: `report` or `accept`."""
    connections_max: int = 4096
    """Connections to the outside that one guest may have at a time; the host's table of them is
    shared by all. A desktop with a browser has a few hundred. What goes beyond is dropped."""
    node_uid: int = 0
    """The only user of the host that may open connections to guests."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if names.LINK_MARK in self.prefix:
            raise ValueError("prefix must not contain qv, which marks the links of guests")
        if not LINK_NAME.fullmatch(self.bridge_name) or self.bridge_name in {".", ".."}:
            raise ValueError("bridge must be a link's name of at most 15 characters")
        if names.is_guest_link(self.prefix, self.bridge_name):
            raise ValueError("bridge must not look like the link of a guest")
        if not SMALLEST_PREFIX <= self.subnet.prefixlen <= LARGEST_PREFIX:
            raise ValueError(f"subnet must be between /{SMALLEST_PREFIX} and /{LARGEST_PREFIX}")
        if search_domains(self.search_domains) != self.search_domains:
            raise ValueError(
                f"search_domains must be at most {DOMAINS_MAX} different names of domains in small"
                f" letters, {DOMAINS_LENGTH_MAX} characters in all"
            )
        if self.connections_max < SMALLEST_CONNECTIONS_MAX:
            raise ValueError(f"connections_max must be at least {SMALLEST_CONNECTIONS_MAX}")
        if self.node_uid < 0:
            raise ValueError("node_uid must not be negative")

    @property
    def bridge_name(self) -> str:
        """Name of the bridge, given or derived."""
        return self.bridge or names.bridge_name(self.prefix)
