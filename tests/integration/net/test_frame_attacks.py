"""Frames that the root of a guest may forge: each arrives without our rules, and not with them."""

import json
import os
import secrets
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

import pytest

from qvdnode.net.core import names
from tests.fixtures_netns import SUBNET, Guest, Lab, ip_batch
from tests.integration.net import frames
from tests.integration.net.frames import BROADCAST, arp, ethernet, icmp6, ipv4, ipv6, udp, vlan
from tests.integration.net.sockets import (
    Dialling,
    assert_stopped,
    frame_listener,
    send_frame,
    udp_listener,
)
from tests.waiting import until

pytestmark = pytest.mark.nftables

GATEWAY = SUBNET.network_address + 1
STRANGER = SUBNET.network_address + 200
STRANGER_MAC = "02:66:66:66:66:66"
ALL_NODES = IPv6Address("ff02::1")
ALL_NODES_MAC = "33:33:00:00:00:01"
UNKNOWN = IPv4Address("0.0.0.0")


@dataclass(frozen=True)
class Stage:
    """Who plays in an attack."""

    mark: bytes
    attacker: Guest
    victim: Guest
    bridge_mac: str

    @property
    def mac(self) -> str:
        """The attacker's own MAC address."""
        return self.attacker.port.mac

    @property
    def address(self) -> IPv4Address:
        """The attacker's own address."""
        return self.attacker.port.address.ip

    @property
    def link_local(self) -> IPv6Address:
        """The attacker's own link-local address."""
        return names.link_local(self.mac)

    def datagram(self, source: IPv4Address, target: IPv4Address) -> bytes:
        """An ordinary packet with the mark in it."""
        return ipv4(source, target, frames.UDP, udp(4000, 4000, self.mark))


def forged_mac(stage: Stage) -> bytes:
    """As nobody on the bridge."""
    packet = stage.datagram(stage.address, GATEWAY)
    return ethernet(stage.bridge_mac, STRANGER_MAC, frames.IPV4, packet)


def neighbours_mac(stage: Stage) -> bytes:
    """As the neighbour, to get its frames."""
    packet = stage.datagram(stage.address, GATEWAY)
    return ethernet(stage.bridge_mac, stage.victim.port.mac, frames.IPV4, packet)


def forged_address(stage: Stage) -> bytes:
    """From an address nobody has."""
    packet = stage.datagram(STRANGER, GATEWAY)
    return ethernet(stage.bridge_mac, stage.mac, frames.IPV4, packet)


def neighbours_address(stage: Stage) -> bytes:
    """From the neighbour's address."""
    packet = stage.datagram(stage.victim.port.address.ip, GATEWAY)
    return ethernet(stage.bridge_mac, stage.mac, frames.IPV4, packet)


def forged_fragment(stage: Stage) -> bytes:
    """A late fragment, without ports, from an address nobody has."""
    packet = ipv4(STRANGER, GATEWAY, frames.UDP, stage.mark.ljust(64), fragment=0x0010)
    return ethernet(stage.bridge_mac, stage.mac, frames.IPV4, packet)


def arp_as_gateway(stage: Stage) -> bytes:
    """Tells all that the gateway's address is at the attacker's."""
    packet = arp(2, (stage.mac, GATEWAY), (BROADCAST, GATEWAY))
    return ethernet(BROADCAST, stage.mac, frames.ARP, packet + stage.mark)


def arp_as_neighbour(stage: Stage) -> bytes:
    """Tells the node that the neighbour's address is at the attacker's."""
    packet = arp(2, (stage.mac, stage.victim.port.address.ip), (stage.bridge_mac, GATEWAY))
    return ethernet(stage.bridge_mac, stage.mac, frames.ARP, packet + stage.mark)


def arp_inner_mac(stage: Stage) -> bytes:
    """The frame is honest, what ARP says inside is not."""
    packet = arp(2, (STRANGER_MAC, stage.address), (stage.bridge_mac, GATEWAY))
    return ethernet(stage.bridge_mac, stage.mac, frames.ARP, packet + stage.mark)


def rogue_dhcp(stage: Stage) -> bytes:
    """An answer of a DHCP server."""
    packet = ipv4(
        stage.address, IPv4Address("255.255.255.255"), frames.UDP, udp(67, 68, stage.mark)
    )
    return ethernet(BROADCAST, stage.mac, frames.IPV4, packet)


def rogue_dhcp6(stage: Stage) -> bytes:
    """An answer of a DHCPv6 server."""
    packet = ipv6(stage.link_local, ALL_NODES, frames.UDP, udp(547, 546, stage.mark))
    return ethernet(ALL_NODES_MAC, stage.mac, frames.IPV6, packet)


def router_advertisement(stage: Stage) -> bytes:
    """I am your router."""
    message = icmp6(stage.link_local, ALL_NODES, 134, bytes(12) + stage.mark)
    packet = ipv6(stage.link_local, ALL_NODES, frames.ICMP6, message)
    return ethernet(ALL_NODES_MAC, stage.mac, frames.IPV6, packet)


def redirect(stage: Stage) -> bytes:
    """There is a better way, by me."""
    message = icmp6(stage.link_local, ALL_NODES, 137, bytes(36) + stage.mark)
    packet = ipv6(stage.link_local, ALL_NODES, frames.ICMP6, message)
    return ethernet(ALL_NODES_MAC, stage.mac, frames.IPV6, packet)


def hidden_advertisement(stage: Stage) -> bytes:
    """A router advertisement behind a fragment header, as evades simple guards."""
    message = icmp6(stage.link_local, ALL_NODES, 134, bytes(12) + stage.mark)
    fragment = bytes([frames.ICMP6, 0, 0, 0, 0, 0, 0, 1])
    packet = ipv6(stage.link_local, ALL_NODES, 44, fragment + message)
    return ethernet(ALL_NODES_MAC, stage.mac, frames.IPV6, packet)


def forged_ipv6(stage: Stage) -> bytes:
    """From a global IPv6 address that nobody was given."""
    packet = ipv6(IPv6Address("2001:db8::66"), ALL_NODES, frames.UDP, udp(40, 40, stage.mark))
    return ethernet(ALL_NODES_MAC, stage.mac, frames.IPV6, packet)


def neighbours_link_local(stage: Stage) -> bytes:
    """From the neighbour's link-local address."""
    source = names.link_local(stage.victim.port.mac)
    packet = ipv6(source, ALL_NODES, frames.UDP, udp(40, 40, stage.mark))
    return ethernet(ALL_NODES_MAC, stage.mac, frames.IPV6, packet)


def vlan_tagged(stage: Stage) -> bytes:
    """An honest packet, tagged for VLAN 7."""
    packet = stage.datagram(stage.address, GATEWAY)
    return ethernet(stage.bridge_mac, stage.mac, frames.VLAN, vlan(7, frames.IPV4, packet))


def vlan_priority_tagged(stage: Stage) -> bytes:
    """A forged packet behind a tag that the kernel takes off by itself."""
    packet = stage.datagram(STRANGER, GATEWAY)
    return ethernet(stage.bridge_mac, stage.mac, frames.VLAN, vlan(0, frames.IPV4, packet))


def odd_ethertype(stage: Stage) -> bytes:
    """A protocol of its own."""
    return ethernet(stage.bridge_mac, stage.mac, 0x88B5, stage.mark)


TO_NODE: list[tuple[Callable[[Stage], bytes], str]] = [
    (forged_mac, "drop_mac"),
    (neighbours_mac, "drop_mac"),
    (forged_address, "drop_ipv4"),
    (neighbours_address, "drop_ipv4"),
    (forged_fragment, "drop_ipv4"),
    (arp_as_gateway, "drop_arp"),
    (arp_as_neighbour, "drop_arp"),
    (arp_inner_mac, "drop_arp"),
    (rogue_dhcp, "drop_advertisement"),
    (rogue_dhcp6, "drop_advertisement"),
    (router_advertisement, "drop_advertisement"),
    (redirect, "drop_advertisement"),
    (hidden_advertisement, "drop_ipv6"),
    (forged_ipv6, "drop_ipv6"),
    (neighbours_link_local, "drop_ipv6"),
    (vlan_tagged, "drop_ethertype"),
    (vlan_priority_tagged, "drop_ethertype"),
    (odd_ethertype, "drop_ethertype"),
]


@pytest.fixture
async def stage(lab: Lab) -> Stage:
    """Two guests of one bridge that speak no IPv6 of their own accord."""
    attacker, victim = await lab.plug(1), await lab.plug(2)
    for guest in (attacker, victim):
        with guest.entered():
            hush_ipv6()
    mac = names.bridge_mac(lab.settings.prefix, lab.settings.bridge_name)
    return Stage(secrets.token_hex(8).encode(), attacker, victim, mac)


def hush_ipv6() -> None:
    """Keep the kernel from speaking IPv6 here by itself, which would be counted too."""
    path = "/proc/sys/net/ipv6/conf/all/disable_ipv6"
    with open(path, "w", encoding="ascii") as option:  # noqa: PTH123 - procfs
        option.write("1")


@pytest.mark.parametrize(("forge", "reason"), TO_NODE, ids=[f.__name__ for f, _ in TO_NODE])
async def test_forged_frames_do_not_reach_the_node(
    lab: Lab, stage: Stage, forge: Callable[[Stage], bytes], reason: str
) -> None:
    frame = forge(stage)
    with frame_listener(lab.node, lab.settings.bridge_name) as listener:
        await assert_stopped(
            lab,
            lambda: send_frame(stage.attacker, "eth0", frame),
            lambda: listener.heard_anew(stage.mark),
            reason=reason,
        )


@pytest.mark.parametrize("target", ["unicast", "broadcast"])
async def test_guests_do_not_reach_each_other_by_frames(
    lab: Lab, stage: Stage, target: str
) -> None:
    packet = stage.datagram(stage.address, stage.victim.port.address.ip)
    to = stage.victim.port.mac if target == "unicast" else BROADCAST
    frame = ethernet(to, stage.mac, frames.IPV4, packet)
    with frame_listener(stage.victim, "eth0") as listener:
        await assert_stopped(
            lab,
            lambda: send_frame(stage.attacker, "eth0", frame),
            lambda: listener.heard_anew(stage.mark),
            reason="drop_neighbour",
        )


@pytest.mark.parametrize("group", [0x00, 0x02, 0x03, 0x0E])
async def test_the_bridge_learns_no_neighbours_mac_from_reserved_frames(
    lab: Lab, stage: Stage, group: int
) -> None:
    """Such frames skip hooks that others pass; what is learned from them redirects traffic."""
    frame = ethernet(f"01:80:c2:00:00:{group:02x}", stage.victim.port.mac, 0x88CC, stage.mark)

    def learned() -> bool:
        ports = learned_ports(lab, stage.victim.port.mac)
        flush_learned(lab)
        return stage.attacker.port.link in ports

    await assert_stopped(
        lab, lambda: send_frame(stage.attacker, "eth0", frame), learned, reason="drop_reserved"
    )


def to_bridges(stage: Stage, group: int) -> bytes:
    """An honest datagram to the node, in a frame that is for bridges alone."""
    packet = stage.datagram(stage.address, GATEWAY)
    return ethernet(f"01:80:c2:00:00:{group:02x}", stage.mac, frames.IPV4, packet)


@pytest.mark.parametrize("group", [0x00, 0x02, 0x03, 0x0E])
async def test_no_datagram_reaches_the_node_in_a_reserved_frame(
    lab: Lab, stage: Stage, group: int
) -> None:
    """Some of them go up as if they had come by the guest's link and no bridge were there."""
    frame = to_bridges(stage, group)
    with udp_listener(lab.node, 4000) as listener:
        await assert_stopped(
            lab,
            lambda: send_frame(stage.attacker, "eth0", frame),
            lambda: listener.heard_anew(stage.mark),
            reason="drop_reserved",
        )


async def test_the_packet_rules_alone_would_stop_it_too(lab: Lab, stage: Stage) -> None:
    table = {"family": "bridge", "name": names.table_name(lab.settings.prefix)}
    await lab.nft.change([{"delete": {"table": table}}])
    with udp_listener(lab.node, 4000) as listener:
        send_frame(stage.attacker, "eth0", to_bridges(stage, 0x02))

        async def counted() -> bool:
            counters = await lab.nft.listing({"counters": {**table, "family": "inet"}})
            found = {item["counter"]["name"]: item["counter"]["packets"] for item in counters}
            return bool(found["drop_to_node"])

        await until(counted, what="the packet to be dropped")
        assert not listener.heard(stage.mark)


async def test_no_guest_overhears_what_the_bridge_floods(lab: Lab, stage: Stage) -> None:
    """Once the bridge has forgotten where a guest is, it sends that guest's frames to all."""
    mac, address = stage.victim.port.mac, stage.victim.port.address.ip
    ip_batch(
        f"neigh replace {address} lladdr {mac} dev {lab.settings.bridge_name} nud permanent",
        netns=lab.node.name,
    )
    with frame_listener(stage.attacker, "eth0") as listener, ExitStack() as dialled:

        def dial() -> None:
            flush_learned(lab)
            dialled.enter_context(Dialling(lab.node, address, 4100))

        await assert_stopped(
            lab, dial, lambda: listener.heard_anew(frames.mac(mac)), reason="drop_overheard"
        )


async def test_a_guest_that_nobody_confined_can_send_nothing(lab: Lab) -> None:
    guest = await lab.plug(3, confined=False)
    mark = os.urandom(8).hex().encode()
    bridge_mac = names.bridge_mac(lab.settings.prefix, lab.settings.bridge_name)
    packet = ipv4(guest.port.address.ip, GATEWAY, frames.UDP, udp(1, 1, mark))
    frame = ethernet(bridge_mac, guest.port.mac, frames.IPV4, packet)
    with frame_listener(lab.node, lab.settings.bridge_name) as listener:
        send_frame(guest, "eth0", frame)

        async def dropped() -> int:
            return (await lab.confinement.dropped())["drop_mac"]

        await until(dropped)
        assert not listener.heard(mark)
        await lab.confinement.confine(guest.port)
        send_frame(guest, "eth0", frame)
        await until(lambda: listener.heard(mark), what="the frame of a confined guest")


def learned_ports(lab: Lab, mac: str) -> list[str]:
    """The ports at which the bridge believes a MAC address to be."""
    listing = subprocess.run(
        ["bridge", "-n", lab.node.name, "-j", "fdb", "show", "br", lab.settings.bridge_name],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return [entry["ifname"] for entry in json.loads(listing) if entry["mac"] == mac]


def flush_learned(lab: Lab) -> None:
    """Make the bridge forget what it has learned."""
    ip_batch(f"link set {lab.settings.bridge_name} type bridge fdb_flush", netns=lab.node.name)
