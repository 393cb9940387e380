"""Compares the guest network with the host's routes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, collapse_addresses
from typing import Final

HALF_PREFIX: Final = 1
"""Two routes of this length are how VPNs put themselves before the default route."""
PROVIDER_NETWORKS: Final = (
    # Link-local: Amazon, Google, Azure, Oracle, IBM, Scaleway, Tencent, OpenStack and most others.
    IPv4Network("169.254.0.0/16"),
    # Azure's WireServer: configuration and certificates of the machine; its DNS, too.
    IPv4Network("168.63.129.16/32"),
    # Oracle's older metadata address.
    IPv4Network("192.0.0.192/32"),
    # For networks between a provider and its customers (RFC 6598): Alibaba's metadata is at
    # 100.100.100.200 and its other services are around it; Tailscale's are here, too. No address
    # of the Internet lies in it.
    IPv4Network("100.64.0.0/10"),
)
"""Networks of cloud providers' services that give credentials to any program on a machine."""
SUGGESTED: Final = IPv4Network("10.64.0.0/10")


@dataclass(frozen=True, slots=True)
class Route:
    """A line of the host's routing table."""

    destination: IPv4Network
    link: str

    @property
    def to_world(self) -> bool:
        """Whether it leads to the world, and to no network of its own."""
        return self.destination.prefixlen <= HALF_PREFIX


def collision(subnet: IPv4Network, routes: Iterable[Route], *, own: str) -> Route | None:
    """The route that overlaps with the subnet, other than the default and that of link `own`."""
    for route in routes:
        foreign = route.link != own and not route.to_world
        if foreign and route.destination.overlaps(subnet):
            return route
    return None


def default_links(routes: Iterable[Route]) -> tuple[str, ...]:
    """The links that lead to the world."""
    return tuple(sorted({route.link for route in routes if route.to_world}))


def host_networks(routes: Iterable[Route], *, own: str) -> tuple[IPv4Network, ...]:
    """What guests may not reach unless told otherwise: networks the host has a route of its own to,
    because it stands in them or was told the way, and those of its provider."""
    found = {route.destination for route in routes if route.link != own and not route.to_world}
    return tuple(collapse_addresses(found | set(PROVIDER_NETWORKS)))


def unused(routes: Sequence[Route], *, prefixlen: int, seed: int) -> IPv4Network | None:
    """A subnet that no route leads to, for demos and tests; None when all are taken."""
    for subnet in _candidates(prefixlen, seed):
        if collision(subnet, routes, own="") is None:
            return subnet
    return None


def _candidates(prefixlen: int, seed: int) -> Iterator[IPv4Network]:
    count = 2 ** (prefixlen - SUGGESTED.prefixlen)
    size = 2 ** (32 - prefixlen)
    for step in range(min(count, 1024)):
        start = SUGGESTED.network_address + ((seed + step) % count) * size
        yield IPv4Network((start, prefixlen))
