"""What counts as one source when connections or attempts are limited per source. Pure.

An IPv4 address is one source. In IPv6 one customer has a whole network: a line at home gets a /64
or a /56, an organisation a /48, and each host in it may take any number of addresses. So the /64
counts as the source, and the wider networks are limited, too, to a multiple of what one source may.
"""

import ipaddress
from dataclasses import dataclass
from typing import Final

UNKNOWN: Final = "unknown"
"""The one source of everything that is not an IP address."""
IPV6_NETWORKS: Final = ((64, 1), (56, 4), (48, 16))
"""Prefix length, and how many times the limit of one source such a network has. A /56 has 256 and a
/48 has 65,536 networks of /64: few of them are busy at once in an honest one, and whoever owns a
/48 gains little by using them all."""
NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""How a translator in front of a data centre without IPv4 shows IPv4 clients (RFC 6052)."""


@dataclass(frozen=True, slots=True)
class SourceNetwork:
    """One network that an address is counted in."""

    name: str
    """Such as `192.0.2.1` or `2001:db8:1:2::/64`; at most 43 characters."""
    multiplier: int
    """How many times the limit of one source it has."""


def source_networks(address: str) -> tuple[SourceNetwork, ...]:
    """The networks to count this address in, the narrowest first; never empty.

    Count it in all of them, and refuse when one has reached the limit times its multiplier.
    """
    parsed = _parse(address)
    if parsed is None:
        return (SourceNetwork(UNKNOWN, 1),)
    if isinstance(parsed, ipaddress.IPv4Address):
        return (SourceNetwork(str(parsed), 1),)
    number = int(parsed)
    return tuple(
        SourceNetwork(_network_name(number, length), multiplier)
        for length, multiplier in IPV6_NETWORKS
    )


def plain_address(address: str) -> str:
    """The address as people know it: without IPv6 around an IPv4 address; other text as it is."""
    parsed = _parse(address)
    return str(parsed) if isinstance(parsed, ipaddress.IPv4Address) else address


def _parse(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv4Address):
        return parsed
    if parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    if parsed in NAT64:
        return ipaddress.IPv4Address(int(parsed) & 0xFFFF_FFFF)
    return parsed


def _network_name(number: int, length: int) -> str:
    host_bits = 128 - length
    return f"{ipaddress.IPv6Address(number >> host_bits << host_bits)}/{length}"
