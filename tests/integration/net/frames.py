"""Frames as an attacker would forge them, built byte by byte."""

import socket
import struct
from ipaddress import IPv4Address, IPv6Address

BROADCAST = "ff:ff:ff:ff:ff:ff"
ARP, IPV4, IPV6, VLAN = 0x0806, 0x0800, 0x86DD, 0x8100
UDP, TCP, ICMP6 = 17, 6, 58


def mac(text: str) -> bytes:
    """Six octets."""
    return bytes.fromhex(text.replace(":", ""))


def ethernet(target: str, source: str, kind: int, payload: bytes) -> bytes:
    """A frame, padded to the shortest that Ethernet knows."""
    return (mac(target) + mac(source) + struct.pack("!H", kind) + payload).ljust(60, b"\0")


def arp(operation: int, sender: tuple[str, IPv4Address], target: tuple[str, IPv4Address]) -> bytes:
    """An ARP request (1) or reply (2)."""
    head = struct.pack("!HHBBH", 1, IPV4, 6, 4, operation)
    return head + b"".join(mac(station) + address.packed for station, address in (sender, target))


def ipv4(
    source: IPv4Address, target: IPv4Address, protocol: int, payload: bytes, *, fragment: int = 0
) -> bytes:
    """An IPv4 packet; `fragment` is the 16-bit field of flags and offset."""
    head = struct.pack(
        "!BBHHHBBH4s4s",
        0x45, 0, 20 + len(payload), 0x5151, fragment, 64, protocol, 0,
        source.packed, target.packed,
    )  # fmt: skip
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ipv6(source: IPv6Address, target: IPv6Address, protocol: int, payload: bytes) -> bytes:
    """An IPv6 packet with the hop limit that neighbour discovery asks for."""
    head = struct.pack("!IHBB", 6 << 28, len(payload), protocol, 255)
    return head + source.packed + target.packed + payload


def udp(source_port: int, target_port: int, payload: bytes) -> bytes:
    """A UDP datagram without checksum, which IPv4 allows."""
    return struct.pack("!HHHH", source_port, target_port, 8 + len(payload), 0) + payload


def icmp6(source: IPv6Address, target: IPv6Address, kind: int, body: bytes) -> bytes:
    """An ICMPv6 message with its checksum."""
    message = struct.pack("!BBH", kind, 0, 0) + body
    pseudo = source.packed + target.packed + struct.pack("!II", len(message), ICMP6)
    return message[:2] + struct.pack("!H", checksum(pseudo + message)) + message[4:]


def too_large_for(mtu: int, packet: bytes) -> bytes:
    """An ICMP error that quotes a packet: fragmentation needed, next hop's MTU."""
    body = struct.pack("!HH", 0, mtu) + packet
    head = struct.pack("!BB", 3, 4)
    return head + struct.pack("!H", checksum(head + b"\0\0" + body)) + body


def vlan(number: int, kind: int, payload: bytes) -> bytes:
    """The rest of a frame that is tagged for a VLAN."""
    return struct.pack("!HH", number, kind) + payload


def checksum(data: bytes) -> int:
    """The Internet checksum."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet_socket_protocol(kind: int = 0x0003) -> int:
    """The protocol argument of an AF_PACKET socket; by default it hears all."""
    return socket.htons(kind)
