"""The inet-family table: whom guests may reach, and who may reach them.

Rule 1: source addresses are trusted here, since frame_rules.py has dropped forged ones.
Rule 2: only packets of the guests' bridge are checked. Packets that seem to come directly from a
guest's link, not from the bridge, are dropped.
Rule 3: all traffic of guests that is not explicitly allowed is dropped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from qvdnode.net.core import names
from qvdnode.net.core.expressions import (
    ACCEPT,
    DROP,
    FLOW_SOURCE,
    ICMP_ERRORS,
    IIFNAME,
    MASQUERADE,
    NFPROTO,
    OIFNAME,
    SKUID,
    Json,
    count,
    differ,
    equal,
    established_flow,
    field,
    first_packet,
    goto,
    more_connections_than,
    more_often_than,
    network,
    related_flow,
)
from qvdnode.net.core.table import Chain, Hook, NamedSet, Table, elements

FAMILY: Final = "inet"
EGRESS: Final = "guests_with_egress"
UPLINKS: Final = "uplinks"
RESOLVERS: Final = "resolvers"
ALLOWED: Final = "allowed_networks"
DENIED: Final = "denied_networks"
CONNECTIONS: Final = "connections_of_guests"
OPENED: Final = "opened_by_guests"
OPENED_PER_S, OPENED_BURST = 500, 1000
"""New connections of one guest. A browser opens a few dozen at a time. The kernel adds each attempt
to its count before it judges it, and cleans up only a few at a time: a flood would fill memory."""
GUESTS_MAX: Final = 65_536
"""Addresses in the largest subnet that the settings take."""
FILTER, SOURCE_NAT = 0, 100
"""The usual priorities: other people's chains of the same hook are judged besides ours."""


class PacketDrop(StrEnum):
    """Why a packet was dropped; each has its counter."""

    TO_NODE = "drop_to_node"
    TO_GUEST = "drop_to_guest"
    BETWEEN_GUESTS = "drop_between_guests"
    NO_EGRESS = "drop_no_egress"
    DENIED_NETWORK = "drop_denied_network"
    NO_UPLINK = "drop_no_uplink"
    FROM_HOST = "drop_from_host"
    ICMP_ERROR = "drop_icmp_error"
    TOO_MANY = "drop_too_many_connections"
    TOO_FAST = "drop_connections_too_fast"


@dataclass(frozen=True, slots=True)
class Perimeter:
    """What is the same for all guests of an instance."""

    prefix: str
    bridge: str
    subnet: IPv4Network
    display_port: int
    node_uid: int
    masquerade: bool
    uplinks: Sequence[str]
    resolvers: Sequence[IPv4Address]
    allowed: Sequence[IPv4Network]
    denied: Sequence[IPv4Network]
    connections_max: int
    """Most connections of each guest."""


def packet_table(perimeter: Perimeter, egress: Sequence[IPv4Address]) -> Table:
    """The whole table; `egress` are the addresses of the guests that may reach the world."""
    bridge, ours = perimeter.bridge, names.link_pattern(perimeter.prefix)
    return Table(
        family=FAMILY,
        name=names.table_name(perimeter.prefix),
        counters=tuple(PacketDrop),
        sets=(
            NamedSet(EGRESS, "ipv4_addr", [str(address) for address in egress]),
            NamedSet(UPLINKS, "ifname", list(perimeter.uplinks)),
            NamedSet(RESOLVERS, "ipv4_addr", [str(address) for address in perimeter.resolvers]),
            NamedSet(ALLOWED, "ipv4_addr", _networks(perimeter.allowed), intervals=True),
            NamedSet(DENIED, "ipv4_addr", _networks(perimeter.denied), intervals=True),
        ),
        chains=(
            Chain("within_limit", _within_limit(perimeter.connections_max)),
            Chain("from_guest", _from_guest(bridge)),
            Chain("to_guest", _to_guest(perimeter.subnet)),
            Chain("to_node", _to_node(bridge, ours), Hook("input", FILTER)),
            Chain("through_node", _through_node(bridge, ours), Hook("forward", FILTER)),
            Chain("from_node", _from_node(perimeter), Hook("output", FILTER)),
            Chain("uplink", _uplink(perimeter), Hook("postrouting", SOURCE_NAT, "nat")),
        ),
    )


def allow_egress(prefix: str, address: IPv4Address) -> list[Json]:
    """Commands that let a guest reach the world; right also if it may already."""
    return [_egress("add", prefix, address)]


def deny_egress(prefix: str, address: IPv4Address) -> list[Json]:
    """Commands that take this away; right also if it is gone already."""
    return [_egress("add", prefix, address), _egress("delete", prefix, address)]


def _egress(verb: str, prefix: str, address: IPv4Address) -> Json:
    return elements(verb, FAMILY, names.table_name(prefix), EGRESS, [str(address)])


def _networks(subnets: Sequence[IPv4Network]) -> list[Json]:
    return [network(subnet) for subnet in subnets]


def _to_node(bridge: str, ours: str) -> list[list[Json]]:
    return [
        [equal(IIFNAME, bridge), established_flow(), ACCEPT],
        [equal(IIFNAME, bridge), count(PacketDrop.TO_NODE), DROP],
        [equal(IIFNAME, ours), count(PacketDrop.TO_NODE), DROP],
    ]


def _through_node(bridge: str, ours: str) -> list[list[Json]]:
    return [
        [equal(IIFNAME, bridge), goto("from_guest")],
        [equal(IIFNAME, ours), count(PacketDrop.NO_UPLINK), DROP],
        [equal(OIFNAME, bridge), goto("to_guest")],
    ]


def _from_guest(bridge: str) -> list[list[Json]]:
    target, accept = field("ip", "daddr"), goto("within_limit")
    return [
        [equal(OIFNAME, bridge), count(PacketDrop.BETWEEN_GUESTS), DROP],
        [equal(NFPROTO, "ipv6"), count(PacketDrop.NO_EGRESS), DROP],
        [differ(field("ip", "saddr"), f"@{EGRESS}"), count(PacketDrop.NO_EGRESS), DROP],
        # The kernel accepts ICMP errors from anybody, also about connections of others.
        [equal(field("icmp", "type"), ICMP_ERRORS), count(PacketDrop.ICMP_ERROR), DROP],
        [equal(field("udp", "dport"), 53), equal(target, f"@{RESOLVERS}"), accept],
        [equal(field("tcp", "dport"), 53), equal(target, f"@{RESOLVERS}"), accept],
        [equal(target, f"@{ALLOWED}"), accept],
        [equal(target, f"@{DENIED}"), count(PacketDrop.DENIED_NETWORK), DROP],
        [differ(OIFNAME, f"@{UPLINKS}"), count(PacketDrop.NO_UPLINK), DROP],
        [accept],
    ]


def _within_limit(connections_max: int) -> list[list[Json]]:
    """The connection tracking table is shared by the host; no guest may fill it."""
    guest = field("ip", "saddr")
    too_fast = more_often_than(
        OPENED_PER_S, burst=OPENED_BURST, per=guest, meter=OPENED, keys_max=GUESTS_MAX
    )
    too_many = more_connections_than(
        connections_max, per=guest, meter=CONNECTIONS, keys_max=GUESTS_MAX
    )
    return [
        [first_packet(), too_fast, count(PacketDrop.TOO_FAST), DROP],
        [first_packet(), too_many, count(PacketDrop.TOO_MANY), DROP],
        [ACCEPT],
    ]


def _to_guest(subnet: IPv4Network) -> list[list[Json]]:
    """Answers, and what routers outside say about a guest's own connections (path MTU)."""
    return [
        [established_flow(), ACCEPT],
        [related_flow(), equal(FLOW_SOURCE, network(subnet)), ACCEPT],
        [count(PacketDrop.TO_GUEST), DROP],
    ]


def _from_node(perimeter: Perimeter) -> list[list[Json]]:
    """The node opens displays, and its operator may ping; other users of the host get nowhere."""
    to_guest = equal(OIFNAME, perimeter.bridge)
    by_node = equal(SKUID, perimeter.node_uid)
    return [
        [to_guest, established_flow(), ACCEPT],
        # The kernel's own errors about what a guest sent, such as a packet too large to forward.
        [to_guest, related_flow(), ACCEPT],
        [to_guest, by_node, equal(field("tcp", "dport"), perimeter.display_port), ACCEPT],
        [to_guest, by_node, equal(field("icmp", "type"), "echo-request"), ACCEPT],
        [to_guest, count(PacketDrop.FROM_HOST), DROP],
    ]


def _uplink(perimeter: Perimeter) -> list[list[Json]]:
    if not perimeter.masquerade:
        return []
    source = equal(field("ip", "saddr"), network(perimeter.subnet))
    return [[source, differ(OIFNAME, perimeter.bridge), MASQUERADE]]
