"""The bridge-family table: what frames a guest may send, and which it gets to see.

Rule 1: frames are checked by the link on which they arrive, which a guest cannot choose.
Rule 2: the source addresses that a guest may use are in sets keyed by that link, never in rules.
Rule 3: only frames from and to links with names of our guests are checked; a guest's link that is
in no set may send nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Final

from qvdnode.net.core import names
from qvdnode.net.core.expressions import (
    ACCEPT,
    DROP,
    IIFNAME,
    OIFNAME,
    Json,
    concat,
    count,
    differ,
    equal,
    field,
    goto,
    masked,
)
from qvdnode.net.core.table import Chain, Hook, NamedSet, Table, elements

FAMILY: Final = "bridge"
MACS: Final = "guest_macs"
ADDRESSES: Final = "guest_addresses"
LINK_LOCALS: Final = "guest_link_locals"

RAW: Final = -300
"""Before all other chains, so that none of them sees a forged frame."""
MULTICAST_BIT: Final = "01:00:00:00:00:00"
RESERVED, RESERVED_MASK = "01:80:c2:00:00:00", "ff:ff:ff:ff:ff:f0"
"""For bridges among themselves. A bridge hands some of these to the host as if they had come by the
guest's link alone, past all rules about the bridge."""
NEIGHBOUR_SOLICIT, MLD2_REPORT = 135, 143
ROUTER_ADVERT, REDIRECT = 134, 137
HOP_BY_HOP, TCP, UDP, ICMP6 = 0, 6, 17, 58


class FrameDrop(StrEnum):
    """Why a frame was dropped; each has its counter."""

    RESERVED = "drop_reserved"
    MAC = "drop_mac"
    ETHERTYPE = "drop_ethertype"
    ARP = "drop_arp"
    IPV4 = "drop_ipv4"
    IPV6 = "drop_ipv6"
    ADVERTISEMENT = "drop_advertisement"
    NEIGHBOUR = "drop_neighbour"
    OVERHEARD = "drop_overheard"


@dataclass(frozen=True, slots=True)
class AllowedSource:
    """The source addresses that one guest may use on its link."""

    link: str
    mac: str
    address: IPv4Address


def frame_table(prefix: str, sources: Sequence[AllowedSource]) -> Table:
    """The whole table with the given guests in it."""
    ours = names.link_pattern(prefix)
    values = _values(sources)
    return Table(
        family=FAMILY,
        name=names.table_name(prefix),
        counters=tuple(FrameDrop),
        sets=(
            NamedSet(MACS, ("ifname", "ether_addr"), values[MACS]),
            NamedSet(ADDRESSES, ("ifname", "ether_addr", "ipv4_addr"), values[ADDRESSES]),
            NamedSet(LINK_LOCALS, ("ifname", "ipv6_addr"), values[LINK_LOCALS]),
        ),
        chains=(
            Chain("from_guest", _from_guest()),
            Chain("arp", _arp()),
            Chain("ipv4", _ipv4()),
            Chain("ipv6", _ipv6()),
            Chain("arrive", [[equal(IIFNAME, ours), goto("from_guest")]], Hook("prerouting", RAW)),
            # Frames to some reserved addresses are learned from without passing prerouting.
            Chain("learn", [[equal(IIFNAME, ours), goto("from_guest")]], Hook("input", RAW)),
            Chain("across", _across(ours), Hook("forward", RAW)),
            Chain("leave", _leave(ours), Hook("postrouting", RAW)),
        ),
    )


def admit(prefix: str, source: AllowedSource) -> list[Json]:
    """Commands that allow a guest to send with its addresses; safe to repeat."""
    return _change("add", prefix, source)


def expel(prefix: str, source: AllowedSource) -> list[Json]:
    """Commands that undo `admit`; safe to repeat."""
    return [*admit(prefix, source), *_change("delete", prefix, source)]


def _change(verb: str, prefix: str, source: AllowedSource) -> list[Json]:
    table = names.table_name(prefix)
    return [
        elements(verb, FAMILY, table, name, values) for name, values in _values([source]).items()
    ]


def _values(sources: Iterable[AllowedSource]) -> dict[str, list[Json]]:
    values: dict[str, list[Json]] = {MACS: [], ADDRESSES: [], LINK_LOCALS: []}
    for source in sources:
        values[MACS].append({"concat": [source.link, source.mac]})
        values[ADDRESSES].append({"concat": [source.link, source.mac, str(source.address)]})
        values[LINK_LOCALS].append({"concat": [source.link, str(names.link_local(source.mac))]})
    return values


def _from_guest() -> list[list[Json]]:
    sender = concat(IIFNAME, field("ether", "saddr"))
    kind = field("ether", "type")
    reserved = equal(masked(field("ether", "daddr"), RESERVED_MASK), RESERVED)
    return [
        [reserved, count(FrameDrop.RESERVED), DROP],
        [differ(sender, f"@{MACS}"), count(FrameDrop.MAC), DROP],
        [equal(kind, "arp"), goto("arp")],
        [equal(kind, "ip"), goto("ipv4")],
        [equal(kind, "ip6"), goto("ipv6")],
        # VLAN tags, spanning tree, PPPoE and all other protocols
        [count(FrameDrop.ETHERTYPE), DROP],
    ]


def _arp() -> list[list[Json]]:
    claimed = concat(IIFNAME, field("arp", "saddr ether"), field("arp", "saddr ip"))
    return [
        [
            equal(field("arp", "operation"), ("request", "reply")),
            equal(claimed, f"@{ADDRESSES}"),
            ACCEPT,
        ],
        [count(FrameDrop.ARP), DROP],
    ]


def _ipv4() -> list[list[Json]]:
    claimed = concat(IIFNAME, field("ether", "saddr"), field("ip", "saddr"))
    return [
        [differ(claimed, f"@{ADDRESSES}"), count(FrameDrop.IPV4), DROP],
        [equal(field("udp", "sport"), 67), count(FrameDrop.ADVERTISEMENT), DROP],
        [ACCEPT],
    ]


def _ipv6() -> list[list[Json]]:
    claimed = concat(IIFNAME, field("ip6", "saddr"))
    kind = field("icmpv6", "type")
    drop = [count(FrameDrop.ADVERTISEMENT), DROP]
    return [
        # Extension headers, above all fragments, would hide what follows from the next rules.
        [
            differ(field("ip6", "nexthdr"), (HOP_BY_HOP, TCP, UDP, ICMP6)),
            count(FrameDrop.IPV6),
            DROP,
        ],
        [equal({"exthdr": {"name": "frag"}}, right=True), count(FrameDrop.IPV6), DROP],
        [equal(kind, (ROUTER_ADVERT, REDIRECT)), *drop],
        [equal(field("udp", "sport"), 547), *drop],
        [equal(claimed, f"@{LINK_LOCALS}"), ACCEPT],
        # Duplicate address detection: sent before a guest uses its address.
        [
            equal(field("ip6", "saddr"), "::"),
            equal(kind, (NEIGHBOUR_SOLICIT, MLD2_REPORT)),
            ACCEPT,
        ],
        [count(FrameDrop.IPV6), DROP],
    ]


def _across(ours: str) -> list[list[Json]]:
    """The bridge joins guests with the node only: it never forwards from port to port."""
    drop = [count(FrameDrop.NEIGHBOUR), DROP]
    return [[equal(IIFNAME, ours), *drop], [equal(OIFNAME, ours), *drop]]


def _leave(ours: str) -> list[list[Json]]:
    """A bridge floods frames for unknown addresses; no guest may receive another's frames so."""
    target = field("ether", "daddr")
    return [
        [
            equal(OIFNAME, ours),
            equal(masked(target, MULTICAST_BIT), "00:00:00:00:00:00"),
            differ(concat(OIFNAME, target), f"@{MACS}"),
            count(FrameDrop.OVERHEARD),
            DROP,
        ]
    ]
